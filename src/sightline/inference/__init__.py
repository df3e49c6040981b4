"""Replies of models: their record on disk, and the model that gives them."""

from sightline.inference.replies import Reply, read_replies, write_replies

__all__ = ["Reply", "read_replies", "write_replies"]
