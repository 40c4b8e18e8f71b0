#!/bin/sh
# SPDX-License-Identifier: MIT
# The command vgpu against the real module; prints TAP.
#
#	vgpu_tool.sh PATH_OF_VGPU
#
# As root, in a VM that has the module loaded and nobody else at work: it makes
# devices, numbers from 900 on and the lowest that is free, and removes them.
# What vgpu reads and prints without a module is tested in selftests/vgpu.
vgpu=$1
here=$(dirname "$0")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

A=11111111-2222-3333-4444-aabbccddeeff
NOBODY=65534

# ---- what tests are made of ----

# STATUS TEXT COMMAND...: the command ends with STATUS and says TEXT.
says()
{
	wanted=$1 text=$2
	shift 2
	"$@" >"$work/said" 2>&1
	status=$?
	[ $status = "$wanted" ] && grep -qF -- "$text" "$work/said" && return
	echo "# $*: status $status, not $wanted with '$text':"
	sed 's/^/#     /' "$work/said"
	return 1
}

# EXPRESSION COMMAND...: it is true of the JSON document "j" that is printed.
json()
{
	expression=$1
	shift
	"$@" >"$work/json" && python3 -IS - "$expression" "$work/json" <<-'END'
		import json, sys
		j = json.load(open(sys.argv[2]))
		if not eval("(%s)" % sys.argv[1]):
		    sys.exit("# not true: %s: %s" % (sys.argv[1], j))
	END
}

# TEXT COMMAND...: it succeeds and prints exactly this.
prints()
{
	text=$1
	shift
	printed=$("$@") && [ "$printed" = "$text" ] && return
	echo "# $*: '$printed', not '$text'"
	return 1
}

# CONDITION...: it becomes true within 20 seconds.
soon()
{
	tries=200
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "# never: $*"; return 1; }
		sleep 0.1
	done
}

sysfs()
{
	cat "/sys/class/vgpu/vgpu900/$1"
}

as_nobody()
{
	setpriv --reuid=$NOBODY --regid=$NOBODY --clear-groups "$@"
}

# Have vgpu900, and remove what is left of a test.
with_device()
{
	"$vgpu" add -n 900 --uuid $A >/dev/null
}

cleanup()
{
	for number in 900 901 902; do
		[ ! -e /dev/vgpu$number ] || "$vgpu" rm $number
	done
}

# daemon | channel: a process that is or has one, until release.
hold()
{
	mkfifo "$work/in" || return
	python3 -IS "$here/device_user.py" "$@" <"$work/in" >"$work/held" &
	holder=$!
	exec 8>"$work/in"
	soon grep -qs held "$work/held"
}

release()
{
	exec 8>&-
	wait $holder
	rm -f "$work/in" "$work/held"
}

# ---- list, show ----

test_list()
{
	says 0 DEVICE "$vgpu" list &&
	says 0 vgpu900 "$vgpu" list &&
	json 'j["devices"] == sorted(j["devices"], key=lambda d: d["device"])' \
		"$vgpu" list -j &&
	json '[d["uuid"] for d in j["devices"] if d["device"] == 900] == ["'$A'"]' \
		"$vgpu" list -j &&
	json "len(j['devices']) == $(ls /sys/class/vgpu | wc -l)" "$vgpu" list --json
}

test_members_of_json()
{
	json 'list(j) == """device node name uuid state backend memory budget channel_budget
		charged channels channels_total channels_lost copied""".split()' \
		"$vgpu" show 900 -j
}

test_show_by_each_name()
{
	upper=$(echo $A | tr a-f A-F)
	for name in 900 vgpu900 /dev/vgpu900 $A "GPU-$upper"; do
		says 0 "device           /dev/vgpu900" "$vgpu" show "$name" || return
		json 'j["device"] == 900 and j["node"] == "/dev/vgpu900"' \
			"$vgpu" show -j "$name" || return
	done
}

test_show_what_is_not_there()
{
	says 1 'vgpu: 901: no such device: see vgpu list' "$vgpu" show 901 &&
	says 1 'no such device' "$vgpu" show /dev/vgpu901 &&
	says 1 'no such device' "$vgpu" show 4294967295 &&
	says 1 'no device has this UUID' "$vgpu" show 00000000-0000-0000-0000-000000000000
}

test_everybody_may_look()
{
	as_nobody "$vgpu" list >/dev/null && as_nobody "$vgpu" show 900 >/dev/null
}

test_other_network_namespace()
{
	says 1 'from the initial network namespace only' unshare -n "$vgpu" list
}

test_full_disk()
{
	says 1 'vgpu: cannot' sh -c '"$1" list >/dev/full' sh "$vgpu" &&
	says 1 'vgpu: cannot' sh -c '"$1" show 900 -j >/dev/full' sh "$vgpu"
}

# ---- add ----

test_add_takes_the_lowest_number()
{
	free=0
	while [ -e /sys/class/vgpu/vgpu$free ]; do
		free=$((free + 1))
	done
	prints vgpu$free "$vgpu" add &&
	[ -c /dev/vgpu$free ] &&
	json 'j["state"] == "unbound" and not j["name"] and not j["memory"] and
		j["uuid"] != "'$A'" and j["uuid"].count("-") == 4' "$vgpu" show $free -j &&
	"$vgpu" rm vgpu$free &&
	[ ! -e /dev/vgpu$free ]
}

test_add_with_everything()
{
	json '(j["device"], j["uuid"], j["name"], j["backend"]) == (901,
		"01234567-89ab-cdef-0123-456789abcdef", "Tesla \u00dc4", "local:3") and
		(j["memory"], j["budget"], j["channel_budget"]) == (16 << 30, 2 << 30, 64 << 20)' \
		"$vgpu" add -j -n 901 --uuid GPU-01234567-89AB-CDEF-0123-456789ABCDEF \
		--name 'Tesla Ü4' --backend local:3 --memory 16G --budget 2GiB \
		--channel-budget 65536K
}

test_add_what_is_there()
{
	says 1 'vgpu: add: the number or the UUID is taken' "$vgpu" add -n 900 &&
	says 1 'is taken' "$vgpu" add -n 901 --uuid $A &&
	[ ! -e /dev/vgpu901 ]
}

test_add_beyond_the_last()
{
	says 1 'there can be 1024 devices' "$vgpu" add -n 1024 &&
	says 1 'there can be 1024 devices' "$vgpu" add -n 4294967295 &&
	prints vgpu1023 "$vgpu" add -n 1023 &&
	"$vgpu" rm 1023
}

test_longest_strings()
{
	name=$(printf 'n%062d' 7) backend=$(printf 'b%0126d' 7)
	json "j['name'] == '$name' and j['backend'] == '$backend'" \
		"$vgpu" add -n 901 --name "$name" --backend "$backend" -j
}

# ---- set ----

test_set_each()
{
	"$vgpu" set 900 --name 'A 1' && prints 'A 1' sysfs name &&
	"$vgpu" set vgpu900 --backend 'far away' && prints 'far away' sysfs backend &&
	"$vgpu" set $A --memory 3T && prints $((3 << 40)) sysfs memory &&
	"$vgpu" set 900 --budget 5M --channel-budget 4M &&
	json '(j["name"], j["backend"], j["memory"], j["budget"], j["channel_budget"]) ==
		("A 1", "far away", 3 << 40, 5 << 20, 4 << 20)' "$vgpu" show 900 -j
}

test_set_the_largest()
{
	"$vgpu" set 900 --memory 18446744073709551615 &&
	prints 18446744073709551615 sysfs memory &&
	json 'j["memory"] == 2.0 ** 64' "$vgpu" show 900 -j
}

test_set_nothing_again()
{
	"$vgpu" set 900 --name x --backend y --budget 1M &&
	"$vgpu" set 900 --name '' --backend '' --budget 0 &&
	prints '' sysfs name && prints unbound sysfs state &&
	json '(j["name"], j["backend"], j["state"], j["budget"]) == ("", "", "unbound", 0)' \
		"$vgpu" show 900 -j &&
	says 0 'budget           a quarter' "$vgpu" show 900
}

test_set_refused()
{
	newline=$(printf 'a\nb')
	says 1 'control character' "$vgpu" set 900 --name "$newline" &&
	says 1 'control character' "$vgpu" set 900 --backend "$newline" &&
	says 1 'control character' "$vgpu" add -n 901 --name "$newline" &&
	[ ! -e /dev/vgpu901 ] &&
	says 1 'no such device' "$vgpu" set 901 --name x
}

test_strings_that_are_not_utf8()
{
	"$vgpu" set 900 --name "$(printf 'a\377\302\233b')" &&
	json 'j["name"] == "a" + 3 * "\ufffd" + "b"' "$vgpu" show 900 -j &&
	says 0 "$(printf 'a\357\277\275\357\277\275\357\277\275b')" "$vgpu" list
}

# ---- rm ----

test_rm()
{
	"$vgpu" rm $A && [ ! -e /dev/vgpu900 ] && [ ! -e /sys/class/vgpu/vgpu900 ] &&
	says 1 'no such device' "$vgpu" rm vgpu900
}

test_rm_several()
{
	"$vgpu" add -n 901 >/dev/null && "$vgpu" add -n 902 >/dev/null &&
	says 1 'vgpu: 903: no such device' "$vgpu" rm 900 903 vgpu901 &&
	[ ! -e /dev/vgpu900 ] && [ ! -e /dev/vgpu901 ] && [ -e /dev/vgpu902 ]
}

test_rm_what_is_open()
{
	exec 7<>/dev/vgpu900
	says 1 'vgpu: vgpu900 is open: fuser -v /dev/vgpu900 shows by whom' "$vgpu" rm 900
	result=$?
	exec 7<&-
	[ $result = 0 ] && "$vgpu" rm 900
}

test_rm_what_has_a_channel()
{
	hold channel || return
	says 1 'vgpu: vgpu900 is in use by 1 channel: stop their programs first' "$vgpu" rm 900 &&
	json 'j["channels"] == 1 and j["channels_total"] == 1 and j["charged"] == 6 * 4096' \
		"$vgpu" show 900 -j
	result=$?
	release
	[ $result = 0 ] &&
	json '(j["channels"], j["channels_total"], j["charged"]) == (0, 1, 0)' \
		"$vgpu" show 900 -j &&
	"$vgpu" rm 900
}

# ---- states, events ----

test_states()
{
	"$vgpu" set 900 --backend b &&
	json 'j["state"] == "down"' "$vgpu" show 900 -j &&
	hold daemon &&
	json 'j["state"] == "ready"' "$vgpu" show 900 -j
	result=$?
	release
	[ $result = 0 ] && json 'j["state"] == "down"' "$vgpu" show 900 -j
}

# [-j]: events into a file; the first one has been seen.
monitor()
{
	"$vgpu" monitor "$@" >"$work/events" 2>&1 &
	watcher=$!
	soon heard_of_a_change
}

heard_of_a_change()
{
	"$vgpu" set 900 --name heard && grep -qs heard "$work/events"
}

# What one can do with a device and a channel.
a_life()
{
	"$vgpu" add -n 901 --memory 1M --name N >/dev/null && "$vgpu" set 901 --backend X &&
	"$vgpu" rm 901 && hold channel && release && "$vgpu" set 900 --name last
}

heard_the_last()
{
	grep -qs last "$work/events"
}

stop_monitor()
{
	kill -KILL $watcher 2>/dev/null
	wait $watcher 2>/dev/null
}

test_monitor()
{
	monitor && a_life && soon heard_the_last
	result=$?
	stop_monitor
	[ $result = 0 ] || return
	grep -v heard "$work/events" | sed 's/channel [0-9]*/channel N/' >"$work/seen"
	diff - "$work/seen" <<-'END'
		vgpu901 added state=unbound name="N" memory=1M backend=""
		vgpu901 changed state=down name="N" memory=1M backend="X"
		vgpu901 removed state=down name="N" memory=1M backend="X"
		vgpu900 channel N opened state=waiting
		vgpu900 channel N changed state=active
		vgpu900 channel N closed state=lost
		vgpu900 changed state=unbound name="last" memory=0B backend=""
	END
}

# One object a line becomes one document.
events_as_a_list()
{
	printf '[%s]' "$(paste -s -d , "$work/events")"
}

test_monitor_json()
{
	monitor -j && a_life && soon heard_the_last
	result=$?
	stop_monitor
	[ $result = 0 ] || return
	json '[[e["event"], e["device"]] for e in j if e.get("name") != "heard"] == [
		["device_add", 901], ["device_set", 901], ["device_rm", 901],
		["channel_open", 900], ["channel_change", 900], ["channel_close", 900],
		["device_set", 900]]' events_as_a_list &&
	json '[e["channel_state"] for e in j if "channel" in e] == ["waiting", "active", "lost"]' \
		events_as_a_list &&
	json 'len({e["channel"] for e in j if "channel" in e}) == 1' events_as_a_list
}

test_monitor_as_nobody()
{
	as_nobody "$vgpu" monitor >"$work/events" 2>&1 &
	watcher=$!
	soon heard_of_a_change
	result=$?
	stop_monitor
	return $result
}

test_monitor_that_is_too_slow()
{
	monitor && kill -STOP $watcher && python3 -IS "$here/device_user.py" many &&
	kill -CONT $watcher && soon grep -q 'vgpu: events were lost' "$work/events" &&
	"$vgpu" set 900 --name last && soon heard_the_last
	result=$?
	stop_monitor
	return $result
}

complained_of_the_disk()
{
	"$vgpu" set 900 --name heard && grep -qs '^vgpu: monitor: ' "$work/events"
}

test_monitor_on_a_full_disk()
{
	"$vgpu" monitor >/dev/full 2>"$work/events" &
	watcher=$!
	soon complained_of_the_disk
	result=$?
	wait $watcher
	[ $? = 1 ] && [ $result = 0 ]
}

# ---- who may, and what nobody can ----

test_changes_need_root()
{
	for change in 'add -n 901' 'set 900 --name x' 'rm 900'; do
		says 1 'CAP_SYS_ADMIN' as_nobody "$vgpu" $change || return
		# root of its own namespace is nobody here
		says 1 'run it as root of this host' unshare -U -r "$vgpu" $change || return
	done
	[ -e /dev/vgpu900 ] && [ ! -e /dev/vgpu901 ] && prints '' sysfs name
}

test_wrong_command_lines()
{
	says 2 'usage:' "$vgpu" &&
	says 2 'there is no command lst' "$vgpu" lst &&
	says 2 'show: which device?' "$vgpu" show &&
	says 2 'show: one device only' "$vgpu" show 900 900 &&
	says 2 'list: takes no device' "$vgpu" list 900 &&
	says 2 'add: takes no device' "$vgpu" add 901 &&
	says 2 'set: nothing to change was given' "$vgpu" set 900 &&
	says 2 'rm: which device?' "$vgpu" rm &&
	says 2 'vgpu900x: not a device' "$vgpu" rm 900 vgpu900x &&
	says 2 'not a size' "$vgpu" set 900 --memory lots &&
	says 2 'longer than 63 bytes' "$vgpu" set 900 --name "$(printf '%064d' 1)" &&
	says 2 "unrecognized option '--uuid'" "$vgpu" set 900 --uuid $A &&
	says 0 'usage:' "$vgpu" help &&
	says 0 'usage:' "$vgpu" rm --help &&
	[ -e /dev/vgpu900 ]
}

# ---- run ----

[ -x "$vgpu" ] && [ -e /sys/module/vgpu ] && [ "$(id -u)" = 0 ] || {
	echo "Bail out! needs the command, the module and root"
	exit 1
}
count=0 failed=0
for each in $(sed -n 's/^test_\([a-z0-9_]*\)()$/\1/p' "$0"); do
	count=$((count + 1)) not=
	with_device && "test_$each" || { not='not ' failed=1; }
	cleanup
	echo "${not}ok $count - $each"
done
echo "1..$count"
exit $failed
