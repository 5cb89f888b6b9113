# shellcheck shell=bash
# options: what a command line may say, besides the name of the command; and what bench says back. The commands are in bench.

usage() {
	local text
	text=$(usage_text)
	print '%s\n' "$text"
}

usage_text() {
	local name arguments help
	cat <<-EOF
	Usage: harness/bench COMMAND [ARGUMENT]...

	Measures the relay on real packets over veth links between network namespaces, and judges it.

	EOF
	while IFS='|' read -r name arguments help; do
		[[ -z $name ]] || printf '  bench %s %s\n        %s\n' "$name" "$arguments" "$help"
	done <<<"$COMMANDS"
	cat <<-EOF

	Options:
	  --relay FILE      the relay to measure (default $BUILD/mcrelay)
	  --results FOLDER  where results go (default $RESULTS)
	  --base COMMIT     whose expectations count: tiers, budgets, waivers, scenarios; a change does not set its own
	                    (gate, compare, budget, fastpath, baseline diff; default: where this branch left main)
	  --markdown FILE   append the table in Markdown to FILE (run, all, gate, fastpath,
	                    compare, baseline diff)

	Instead of what the scenario says:
	  --profile P       how packets enter a hop: wire, one by one; gro, the receiving ends of the
	                    links aggregate; plain, one by one, and the relay does not coalesce
	                    (run, gate, compare, matrix; matrix: not plain, which is one of its modes)
	  --payload SIZE    bytes, 18 to 8972, or imix; the links' MTU is 9000 from 1473 on (run, matrix)
	  --flows N         flows, which take turns (run, matrix)
	  --fanout N        outputs of a single hop, 1 to 64: 1, 3, 10, 50; up to 9 have a link each,
	                    more share one (run, matrix)
	  --relay-options TEXT
	                    options of the relay, besides those of the scenario: '--send-batch 32'
	                    (run, gate, budget; compare has --base-options and --head-options)

	What is measured:
	  --sut relay|kernel
	                    the relay, or the kernel's own multicast forwarding, set up by smcroute (run)

	Environment:
	  BUILD             folder with mcrelay and trafficgen (default $ROOT/build)
	  BENCH_COMPARE_SAME
	                    not empty: a program is measured against itself, too, which is unofficial (compare)
	  BENCH_FAULT       breaks a run on purpose, as bench drill does (run): dead-relay, offload, lossy-link
	  BENCH_SCENARIOS   folder with the scenarios and fastpath.json (default $HARNESS/scenario)
	  BENCH_BASELINES   folder with the baselines, budgets and waivers (default $ROOT/baselines)
	                    With either one a verdict is unofficial: it is not of what the commit has.

	Exit status: 0 pass, 3 regression or a target missed, 4 inconclusive or machine unfit, 5 invalid measurement, 64 usage.
	bench verdict has 70 besides: a question crashed.
	EOF
}

refuse() {
	die "$EXIT_USAGE" "$1; see 'harness/bench help'"
}

# parse_options OPTIONS ARGUMENT...: takes the command's own OPTIONS, a list of words, and those that every
# command has; leaves the rest in ARGUMENTS.
parse_options() {
	local own=" $1 --relay --results --markdown "
	shift
	ARGUMENTS=() MARKDOWN='' BASE_ASKED='' WHEN=commit REFERENCE='' SHAPE='' CONTROL='' TIER=target ROUNDS='' ONLY=() CHOSEN=() BUDGET='' GOAL='' PACKETS='' DURATION='' BUILDS=() ACCEPT='' REASON=''
	BUILD_OPTIONS=([base]='' [head]='')
	while (($#)); do
		[[ $1 != -* || $own == *" $1 "* ]] || refuse_option "$1"
		case $1 in
		--control) CONTROL=1 ;;
		--accept) ACCEPT=1 ;;
		--reference) REFERENCE=1 ;;
		--shape) SHAPE=1 ;;
		-*)
			[[ -n ${2:-} ]] || refuse "$1 needs a value"
			case $1 in
			--relay) RELAY=$(readlink -f "$2") || refuse "--relay: no file '$2'" ;;
			--results)
				RESULTS=$(readlink -m "$2")
				[[ ! -e $RESULTS || -d $RESULTS ]] ||
					die "$EXIT_INCONCLUSIVE" "results cannot be kept in $RESULTS, which is no folder; name another one with --results"
				;;
			--markdown) MARKDOWN=$2 ;;
			--base) BASE_ASKED=$2 ;;
			--when) WHEN=$2 ;;
			--tier) TIER=$2 ;;
			--rounds) ROUNDS=$2 ;;
			--only) ONLY+=(--only "$2") ;;
			--scenario) CHOSEN+=("$2") ;;
			--budget) BUDGET=$2 ;;
			--reason) REASON=$2 ;;
			--goal) GOAL=$2 ;;
			--packets) PACKETS=$2 ;;
			--duration) DURATION=$2 ;;
			--builds)
				[[ -n ${3:-} ]] || refuse "--builds needs two files"
				BUILDS=("$2" "$3")
				shift
				;;
			--sut) SYSTEM=$2 ;;
			--payload) OVERRIDES[payload_bytes]=$2 ;;
			--relay-options) OVERRIDES[relay_options]=$2 ;;
			--base-options) BUILD_OPTIONS[base]=$2 ;;
			--head-options) BUILD_OPTIONS[head]=$2 ;;
			*) OVERRIDES[${1#--}]=$2 ;;
			esac
			shift
			;;
		*) ARGUMENTS+=("$1") ;;
		esac
		shift
	done
	[[ $SYSTEM =~ ^(relay|kernel)$ ]] || refuse "--sut: '$SYSTEM' is not one of relay, kernel"
	[[ $TIER =~ ^(minimum|target|stretch)$ ]] ||
		refuse "--tier: '$TIER' is not one of minimum, target, stretch"
	[[ $WHEN =~ ^(commit|night)$ ]] || refuse "--when: '$WHEN' is not one of commit, night"
	[[ $ROUNDS =~ ^([1-9][0-9]?)?$ ]] || refuse "--rounds: '$ROUNDS' is not a number from 1 to 99"
	[[ $BUDGET =~ ^([0-9]{1,4}([.][0-9])?)?$ ]] || refuse "--budget: '$BUDGET' is not a number of minutes such as 5 or 0.5"
	[[ $PACKETS =~ ^([1-9][0-9]{0,11}[kMG]?)?$ ]] || refuse "--packets: '$PACKETS' is not a number of packets such as 20000000 or 20M"
	PACKETS=${PACKETS/k/000} PACKETS=${PACKETS/M/000000} PACKETS=${PACKETS/G/000000000}
	[[ $DURATION =~ ^([1-9][0-9]{0,4}[smh]?)?$ ]] || refuse "--duration: '$DURATION' is not a time such as 30s, 10m or 1h"
	case $DURATION in
	*h) DURATION=$((${DURATION%h} * 3600)) ;;
	*m) DURATION=$((${DURATION%m} * 60)) ;;
	*) DURATION=${DURATION%s} ;;
	esac
	[[ $GOAL =~ ^(ndr|pdr)?$ ]] || refuse "--goal: '$GOAL' is not one of ndr, pdr"
	[[ -z $MARKDOWN ]] || { : >>"$MARKDOWN"; } 2>/dev/null ||
		refuse "--markdown: cannot write '$MARKDOWN'"
}

refuse_option() {
	[[ " --control --accept --reference --shape --base --when --tier --rounds --only --scenario --budget --builds --base-options --head-options --relay-options --reason --goal --packets --duration --sut --profile --payload --flows --fanout " != *" $1 "* ]] ||
		refuse "this command does not take '$1'"
	refuse "unknown option '$1'"
}
