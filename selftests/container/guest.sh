#!/bin/bash
# SPDX-License-Identifier: MIT
# guest.sh BUILD PROGRAMS MODULE: in a virtual machine, as root. Containers get a
# node of /dev/vgpuN and our libcuda, nothing else of ours; programs in them are
# as nvcc made them. Prints TAP.
set -u

build=$1
programs=$2
module=$3
lib=/usr/lib/x86_64-linux-gnu
work=/run/vgpu-containers
image=$work/image
count=0
failed=0

# result NAME STATUS: good if STATUS is 0; what the last container said, if not
result()
{
	count=$((count + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $count - $1"
	else
		sed 's/^/# /' "$work/said"
		echo "not ok $count - $1"
		failed=1
	fi
}

# A root file system: busybox, the programs, the distribution's own libraries.
make_image()
{
	mkdir -p "$image"/{bin,dev,etc,lib64,proc,run,sys,tmp,usr/lib} "$image$lib"
	cp /bin/busybox "$image/bin/busybox"
	for applet in sh ls cat mknod; do
		ln -s busybox "$image/bin/$applet"
	done
	for program in vector_add device_query monte_carlo; do
		cp "$programs/static/$program" "$image/bin/"
		ldd "$programs/static/$program" | awk '$3 ~ /^\// { print $3 }'
	done | sort -u | while read -r path; do
		cp -L "$path" "$image$lib/"
	done
	cp -L /lib64/ld-linux-x86-64.so.2 "$image/lib64/"
	ln -s "${lib#/}" "$image/lib"
	echo 'root:x:0:0::/:/bin/sh' >"$image/etc/passwd"
	echo 'root:x:0:' >"$image/etc/group"
}

# container OPTION... -- COMMAND...: what podman would do for a user, offline
container()
{
	local options=()

	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	timeout 120 podman --root "$work/storage" --runroot "$work/run" --storage-driver vfs \
		--cgroup-manager cgroupfs --events-backend none run --rm --network none \
		--read-only --log-driver none "${options[@]}" \
		-v "$build/lib/libcuda.so.1:$lib/libcuda.so.1:ro" \
		--rootfs "$image" "$@" >"$work/said" 2>&1
}

said()
{
	grep -q -- "$1" "$work/said"
}

# Workers of root's programs are nobody's and must get to the libraries; this
# root file system is thrown away.
path=$build
while [ "$path" != / ]; do
	chmod a+rx "$path"
	path=$(dirname "$path")
done
mkdir -p "$work"
make_image
insmod "$module" ndevices=2 || exit 1
"$build/vgpu-server" --ctl /dev/vgpuctl --socket "$work/server.sock" \
	--libcuda "$build/softgpu/libcuda.so.1" --cache "$work/cache" >"$work/server" 2>&1 &
server=$!
for _ in $(seq 200); do
	grep -q ready "$work/server" && break
	sleep 0.05
done

container --device /dev/vgpu0 -- /bin/vector_add
result "a program in a container with /dev/vgpu0" $?

container --device /dev/vgpu0 -- /bin/device_query && said 'device 0:' && ! said 'device 1:'
result "it sees one device" $?

container --device /dev/vgpu0 --device /dev/vgpu1 -- /bin/device_query && said 'device 1:'
result "with two nodes it sees two" $?

container --device /dev/vgpu1 -- /bin/monte_carlo
result "with /dev/vgpu1 alone a program runs as well" $?

container --device /dev/vgpu1 -- /bin/sh -c 'test -e /dev/vgpu1 && test ! -e /dev/vgpu0'
result "/dev/vgpu0 is not there for a container that was given /dev/vgpu1" $?

node="$(stat -c '0x%t 0x%T' /dev/vgpu0)"
set -- $node
container --device /dev/vgpu1 --cap-add MKNOD --tmpfs /tmp:rw,dev -- /bin/sh -c \
	"mknod /tmp/vgpu0 c $(($1)) $(($2)) && cat </tmp/vgpu0; echo cat \$?; exec 3<>/tmp/vgpu0"
[ $? -ne 0 ] && said 'cat 1' && said 'Operation not permitted'
result "nor can it open a node that it makes itself" $?

container -- /bin/vector_add
[ $? -ne 0 ] && said cudaErrorNoDevice
result "without a node there is no device" $?

container --device /dev/vgpu0 --user 1234:1234 -- /bin/vector_add
[ $? -ne 0 ] && said cudaErrorNoDevice
result "nor for a user that may not open it" $?

chgrp 4321 /dev/vgpu0
container --device /dev/vgpu0 --user 1234:1234 --group-add 4321 -- /bin/vector_add
result "a user in the device's group runs programs" $?

container --device /dev/vgpu0 --memory 256m -- /bin/vector_add
result "a container with a memory limit" $?

kill "$server" && wait "$server"
rmmod vgpu
result "nothing of the module is in use afterwards" $?

echo "1..$count"
exit $failed
