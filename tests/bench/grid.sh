# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# grid.sh: which cases are run.  Sourced by scripts/bench.sh, whose lists it
# reads: mtus, only, queues, trims, grid.
#
#     sound   the guest: every contestant at every MTU; queues, methods of
#             trimming and the other images: each alone, at the base MTUs;
#             without copies, whole pages, too
#     quick   the same, but of methods and images only random memory at MTU
#             9000; without copies at that, for what sealing costs
#     full    everything with everything
# shellcheck disable=SC2034,SC2154 # variables shared with bench.sh

all_contestants=(insecure no-copies pagetrim insecure-warm pagetrim-warm
		 stages stages-sealed qemu qemu-cold multifd multifd-cold tcp
		 criu blast memory)

# grid_cases IMAGE: its cases in the order of a round, one a line:
# WHAT MTU QUEUES TRIM.
grid_cases()
{
	local image=$1 mtu what base_mtus

	grid_base_mtus
	for mtu in $(grid_mtus "$image"); do
		for what in "${only[@]}"; do
			[[ $what != memory ]] || continue
			grid_has "$image" "$what" "$mtu" || continue
			case $what in
			insecure | no-copies | pagetrim)
				grid_ours "$image" "$what" "$mtu" ;;
			*-warm | stages*)
				echo "$what $mtu ${queues[0]} ${trims[-1]}" ;;
			*)	echo "$what $mtu ${queues[0]} -" ;;
			esac
		done
	done
	# Nothing is sent: once a round, and one memory is read as fast as another.
	[[ $grid != quick || $image == guest ]] || return 0
	[[ " ${only[*]} " != *" memory "* ]] || echo "memory ${mtus[0]} ${queues[0]} -"
}

# grid_base_mtus: those at which all but the guest is measured, in base_mtus.
grid_base_mtus()
{
	local mtu

	base_mtus=()
	for mtu in "${mtus[@]}"; do
		[[ ! $mtu =~ ^(9000|65535)$ ]] || base_mtus+=("$mtu")
	done
	((${#base_mtus[@]})) || base_mtus=("${mtus[@]}")
}

grid_mtus()
{
	if [[ $grid == full || $1 == guest ]]; then
		echo "${mtus[*]}"
	elif [[ $grid == quick ]]; then
		echo "${base_mtus[0]}"
	else
		echo "${base_mtus[*]}"
	fi
}

grid_is_base() { [[ " ${base_mtus[*]} " == *" $1 "* ]]; }

# grid_has IMAGE WHAT MTU: that contestant runs there, be it in one way.
grid_has()
{
	[[ $grid != quick ]] || grid_has_quick "$@" || return
	[[ $grid != full && $1 != guest ]] || return 0
	case $2 in
	insecure | pagetrim | tcp | qemu-cold) ;;
	blast | stages)	[[ $1 == random ]] ;;
	*)	return 1 ;;
	esac
}

# grid_has_quick IMAGE WHAT MTU: what three minutes have room for.
grid_has_quick()
{
	case $2 in
	no-copies)		[[ $3 == 9000 ]] ;;
	pagetrim | qemu-cold)	[[ $1 == guest ]] ;;
	stages)			[[ $1 == guest && $3 != 1500 ]] ;;
	esac
}

# grid_ours IMAGE WHAT MTU: pagetrim's ways.
grid_ours()
{
	local queue_cnt trim base_trim=${trims[-1]} base_queues=${queues[0]}

	for queue_cnt in "${queues[@]}"; do
		for trim in "${trims[@]}"; do
			[[ $grid == full ]] ||
				grid_way "$1" "$2" "$3" || continue
			echo "$2 $3 $queue_cnt $trim"
		done
	done
}

# grid_way IMAGE WHAT MTU: at most one thing differs from the base.
grid_way()
{
	if [[ $queue_cnt == "$base_queues" && $trim == "$base_trim" ]]; then
		return 0
	fi
	# What trimming saves, and what copies do, is told apart.
	if [[ $2 == no-copies ]]; then
		[[ $queue_cnt == "$base_queues" && $trim == none &&
			$grid == sound ]]
		return
	fi
	grid_is_base "$3" || return
	if [[ $queue_cnt != "$base_queues" ]]; then
		[[ $trim == "$base_trim" && $1 == guest ]]
	else
		[[ $2 == insecure && $1 =~ ^(guest|random|half)$ ]] &&
			[[ $grid == sound || $1 == random ]]
	fi
}
