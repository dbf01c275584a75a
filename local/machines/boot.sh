#!/bin/sh
# Boots one machine and waits until it is off. Runs in a mount namespace of its own, so that its mounts go with it.
#
# usage: unshare --mount --propagation slave boot.sh CGROUP ROOT-FILE-SYSTEM DISK HOST-NAME NETWORK-NAMESPACE
# exit status: 0 powered off, 133 wants to be started again
set -eu
cgroup=$1 lower=$2 disk=$3 name=$4 network=$5

# The machine's systemd wants version 2 at this place, whatever this machine has there.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo $$ >"/sys/fs/cgroup/$cgroup/cgroup.procs"
# Volatile: nothing waits for this machine's disk, since no server outlives a power cut of it whole anyway. The mark
# that the last mount left would refuse this one.
rm -rf "$disk/work/work/incompat"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$disk/upper,workdir=$disk/work,volatile" "$disk/root"

export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
exec systemd-nspawn --quiet --boot --keep-unit --register=no --link-journal=no --resolv-conf=off \
    --console=pipe --directory="$disk/root" --machine="$name" --hostname="$name" \
    --network-namespace-path="/run/netns/$network" --capability=CAP_NET_ADMIN
