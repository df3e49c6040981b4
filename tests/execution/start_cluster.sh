#!/bin/bash
# Starts a real Slurm of one node on this machine, for the tests marked `cluster`. Needs root, and slurm-wlm (Debian, Ubuntu):
#   apt-get install slurm-wlm
#   bash tests/execution/start_cluster.sh start|stop|status [FOLDER]
# FOLDER (by default ${TMPDIR:-/tmp}/sightline-slurm) gets configuration, state and logs. The test of Ray starts its own two nodes.
set -euo pipefail
folder=${2:-${TMPDIR:-/tmp}/sightline-slurm}
export SLURM_CONF="$folder/slurm.conf"

stop() {
  for daemon in slurmctld slurmd munged; do
    [ -f "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")" 2>/dev/null || true
  done
}

start() {
  for tool in slurmctld slurmd munged mungekey sbatch; do
    command -v "$tool" >/dev/null || { echo "expected $tool, found none. Fix: apt-get install slurm-wlm" >&2; exit 2; }
  done
  [ "$(id -u)" = 0 ] || { echo "expected to run as root: slurmd starts jobs as their users" >&2; exit 2; }
  mkdir -p "$folder"/{state,spool}
  chmod 755 "$folder"
  [ -f "$folder/munge.key" ] || mungekey --create --keyfile "$folder/munge.key"
  munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
    --log-file "$folder/munged.log" --seed-file "$folder/munge.seed"
  host=$(hostname -s)
  cat >"$SLURM_CONF" <<CONF
ClusterName=sightline
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
SlurmctldPort=46817
SlurmdPort=46818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  slurmctld
  slurmd
  for _ in $(seq 60); do
    sinfo --noheader --format=%T 2>/dev/null | grep -q idle && break
    sleep 0.5
  done
  sinfo
  echo "export SLURM_CONF=$SLURM_CONF"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  status) sinfo && squeue ;;
  *)
    echo "usage: bash $0 start|stop|status [FOLDER]" >&2
    exit 2
    ;;
esac
