"""Apple RoomPlan, JSON and USDZ."""
