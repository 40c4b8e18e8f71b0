# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of vgpu(8) for bash: commands, options, devices there are.

_vgpu_settings='--name --backend --memory --budget --channel-budget'

_vgpu_options()
{
	case $1 in
	list | show | servers | sessions) echo '--json --vgpud-status --server-status' ;;
	monitor) echo '--json' ;;
	add) echo "--json --number --uuid $_vgpu_settings" ;;
	set) echo "$_vgpu_settings" ;;
	pki) [[ $2 == list ]] && echo '--json' || echo '--address --days' ;;
	esac
}

_vgpu_devices()
{
	local node
	for node in /sys/class/vgpu/vgpu[0-9]*; do
		[[ -e $node ]] && echo "${node##*/}"
	done
}

_vgpu_words()
{
	local command=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}

	if ((COMP_CWORD == 1)); then
		echo 'list show servers sessions add set rm monitor pki help'
	elif [[ $word == -* ]]; then
		_vgpu_options "$command" "${COMP_WORDS[2]}"
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} =~ ^(-n|--[^j].*)$ ]]; then
		: # the value of an option: nobody can know
	elif [[ $command == pki ]]; then
		((COMP_CWORD != 2)) || echo 'init server client revoke list'
	elif [[ $command =~ ^(show|set|rm)$ ]]; then
		_vgpu_devices
	fi
}

_vgpu()
{
	mapfile -t COMPREPLY < <(compgen -W "$(_vgpu_words)" -- "${COMP_WORDS[COMP_CWORD]}")
}

complete -F _vgpu vgpu
