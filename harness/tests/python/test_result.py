"""result.py on runs that were recorded, whole and damaged: data/raw, one relay and a receiver behind it;
data/raw-gro, aggregates and a ring too small for them; data/raw-kernel, the kernel forwards."""

import json
import resource
import shutil
import tempfile
import unittest
from pathlib import Path

from harness.result import hops, result
from harness.result.documents import Faulty
from harness.result.sink import sink as sink_of, worst_latency
from harness.tests.python.support import DATA, load, program, schema, started


class Recorded(unittest.TestCase):
    RAW = "raw"

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.raw = self.folder / "raw"
        shutil.copytree(DATA / self.RAW, self.raw)

    def change(self, name: str, function) -> None:
        value = load(self.raw / name)
        function(value)
        (self.raw / name).write_text(json.dumps(value))

    def keep_lines(self, name: str, wanted) -> None:
        path = self.raw / name
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if wanted(json.loads(line))))

    def build(self) -> dict:
        found = result.build(self.raw)
        schema("result").validate(json.loads(json.dumps(found)))
        return found

    def problems(self) -> str:
        found = self.build()
        self.assertFalse(found["valid"])
        return " ".join(found["problems"])


class Whole(Recorded):
    def test_valid_and_as_the_schema_says(self):
        found = self.build()
        self.assertEqual((found["valid"], found["problems"]), (True, []))
        self.assertEqual([hop["name"] for hop in found["hops"]], ["r1"])

    def test_rates_can_be_had_from_the_samples(self):
        found = self.build()
        hop = found["hops"][0]
        rows = [dict(zip(found["sample_columns"], row)) for row in hop["samples"]]
        start, end = found["window_ns"]
        inside = [row for row in rows if start <= row["time_ns"] <= end]
        seconds = (inside[-1]["time_ns"] - inside[0]["time_ns"]) / 1e9
        delta = {column: inside[-1][column] - inside[0][column] for column in found["sample_columns"]}
        for column, rate in (("interface_rx", "interface_pps"), ("matched", "matched_pps"),
                             ("egress_sent", "egress_pps")):
            self.assertAlmostEqual(delta[column] / seconds, hop[rate])
        self.assertAlmostEqual((delta["received"] + delta["exhaustion_frames"]) / seconds,
                               hop["ingress_pps"])
        self.assertEqual(delta["exhaustion_frames"], hop["exhaustion_frames"])
        self.assertAlmostEqual(hops.rate(found["generator"]["samples"], (start, end), ""),
                               found["offered_pps"])

    def test_every_sample_is_kept(self):
        found = self.build()
        lines = (self.raw / "r1.series.ndjson").read_text().splitlines()
        self.assertEqual(len(found["hops"][0]["samples"]), len(lines))
        self.assertEqual(found["generator"]["samples"], load(self.raw / "gen.json")["samples"])

    def test_receiver_fills_the_sink(self):
        sink = self.build()["sink"]
        self.assertEqual(sink["source"], "trafficgen recv")
        self.assertEqual((sink["received"], sink["lost"], sink["duplicated"], sink["reordered"],
                          sink["corrupt"], sink["socket_drops"]), (20_000, 0, 0, 0, 0, 0))
        self.assertEqual(sink["latency_ns"]["count"], 20_000)
        self.assertLessEqual(sink["latency_ns"]["p50"], sink["latency_ns"]["p99"])

    def test_a_receiver_knows_the_longest_gap_and_the_worst_of_each_second(self):
        self.assertIsNone(self.build()["sink"]["longest_gap_ms"])  # recorded before it did
        self.change("sink.recv.json", lambda report: report.update(longest_gap_ns=7_500_000, slowest_ns=[900, 300, 500, 700]))
        sink = self.build()["sink"]
        self.assertEqual((sink["longest_gap_ms"], sink["latency_ns"]["worst_of_second"]), (7.5, 500))  # the last second is not whole

    def test_without_a_receiver_the_interfaces_count(self):
        self.change("run.json", lambda run: run.update(sinks=[]))
        sink = self.build()["sink"]
        self.assertEqual((sink["source"], sink["received"], sink["lost"]),
                         ("interface counters", 20_000, 0))
        self.assertIsNone(sink["corrupt"])
        self.assertIsNone(sink["latency_ns"])

    def test_control(self):
        self.change("run.json", lambda run: run.update(kind="control", sinks=[]))
        found = self.build()
        self.assertEqual((found["hops"], found["sink"]["source"]), ([], "interface counters"))
        self.assertEqual([account["account"] for account in found["ledger"]], ["gen -> r1", "gen -> r1, bytes"])

    def test_a_relay_that_lives_on(self):
        """What it counted is the change from its first report to its last; its end has not come."""
        final = load(self.raw / "r1.stats.json")
        rows = [json.loads(line) for line in (self.raw / "r1.series.ndjson").read_text().splitlines()]
        for row in [*rows, final]:
            for key in ("recv_packets", "matched", "egress_sent"):
                row["total"][key] += 1_000_000
            row["outputs"][0]["sent"] += 1_000_000
        rows[0]["total"] = rows[0]["total"] | {key: 1_000_000 for key in ("recv_packets", "matched", "egress_sent")}
        rows[0]["outputs"][0]["sent"] = 1_000_000
        (self.raw / "r1.series.ndjson").write_text("".join(json.dumps(row) + "\n" for row in [*rows, final]))
        for name in ("r1.stats.json", "r1.exit"):
            (self.raw / name).unlink()
        self.change("run.json", lambda run: run.update(living=True))
        found = self.build()
        self.assertEqual((found["problems"], found["sink"]["received"]), ([], 20_000))
        self.assertEqual([account["residual"] for account in found["ledger"]], [0] * len(found["ledger"]))

    def test_control_that_is_read(self):
        """A receiver where the first hop would be: what the way takes without a relay."""
        self.change("run.json", lambda run: run.update(kind="control", sinks=["r1"]))
        (self.raw / "r1.recv.json").write_text((self.raw / "sink.recv.json").read_text())
        sink = self.build()["sink"]
        self.assertEqual((sink["source"], sink["received"], sink["expected"]), ("trafficgen recv", 20_000, 20_000))
        self.assertGreater(sink["latency_ns"]["p50"], 0)

    def test_samples_that_cover_a_part_of_the_window_make_no_rate(self):
        """As of a relay that stood still for most of it: two samples are close together."""
        window = (0, 500)
        for times in ([0, 99], [250, 649, 700], [], [100], [0, 1, 2, 399]):
            with self.assertRaisesRegex(Faulty, "the samples of r1 cover [0-9]+% of the measured window, 80% are needed"):
                hops.between(times, window, "r1")
        self.assertEqual(hops.between([-1, 50, 60, 450, 501], window, "r1"), (1, 3))

    def test_routes_say_what_is_owed(self):
        (self.raw / "routes.txt").write_text("source gen 239.255.77.1:5000 1\nroute r1 bench in0 239.255.77.1:5000 out0 239.255.78.1:5000\n"
                                             "receiver sink sink in0 239.255.78.1:5000 1\nlink gen:out0 r1:in0\nlink r1:out0 sink:in0\n")
        found = self.build()
        self.assertEqual((found["sink"]["expected"], found["sink"]["lost"], found["hops"][0]["copies"], found["problems"]), (20_000, 0, 1, []))
        self.assertIn("returned", found["sink"])
        self.change("gen.json", lambda report: report.pop("flows"))  # as of one that sent nothing
        self.assertEqual(self.build()["sink"]["expected"], 0)

    def test_queues_of_the_kernel(self):
        self.assertNotIn("softnet", self.build())
        row = "{:08x} {:08x} {:08x} " + "00000000 " * 9 + "{:08x} 00000000 00000000\n"
        (self.raw / "softnet.before.txt").write_text(row.format(9, 0xffffffff, 5, 0) + row.format(9, 3, 0, 1))
        (self.raw / "softnet.after.txt").write_text(row.format(9, 1, 7, 0) + row.format(9, 13, 0, 1))
        self.assertEqual(self.build()["softnet"], {"dropped": 12, "squeezed": 2})
        (self.raw / "softnet.after.txt").write_text("nonsense\n")
        with self.assertRaisesRegex(Faulty, "softnet.after.txt"):
            self.build()

    def test_each_series_has_to_cover_the_window(self):
        start, end = self.build()["window_ns"]
        for name, cut in (("the generator gen", lambda: self.change("gen.json", lambda report: report.update(
                              samples=[s for s in report["samples"] if not start + 150e6 < s[0] <= end]))),
                          ("r1", lambda: self.keep_lines("r1.series.ndjson", lambda row: not (
                              start + 150e6 < row["time_ns"] <= end)))):
            cut()
            with self.subTest(name), self.assertRaisesRegex(Faulty, f"the samples of {name} cover "):
                result.build(self.raw)
            self.setUp()

    def test_a_generator_that_is_silent_in_the_window_is_a_problem(self):
        self.change("gen.json", lambda report: report.update(samples=[[time, 1000] for time, _ in report["samples"]]))
        found = result.build(self.raw)
        self.assertEqual((found["valid"], found["problems"]), (False, ["the generator sent nothing in the measured window"]))

    def test_window_is_that_of_the_run(self):
        self.change("run.json", lambda run: run.update(window_ms=450))
        start, end = self.build()["window_ns"]
        self.assertEqual(end - start, 450_000_000)

    def test_the_whole_machine_is_what_the_generator_read(self):
        self.assertIn("did not read /proc/stat", self.build()["machine"]["reason"])  # an older one
        start, end = self.build()["window_ns"]

        def read(generator):
            generator.update(cpu_ticks_per_s=100, cpu_samples=[[start, *[0] * 8], [end, 10, 0, 20, 40, 0, 5, 15, 10]])
        self.change("gen.json", read)
        found = self.build()
        busy = 0.5e9 / (end - start)
        self.assertAlmostEqual(found["machine"]["cores_busy"], busy)
        self.assertAlmostEqual(found["machine"]["busy_ns_per_packet_offered"], busy * 1e9 / found["offered_pps"])
        self.change("run.json", lambda run: run.update(twin=True))
        self.assertIsNone(self.build()["machine"]["busy_ns_per_packet_offered"])

    def test_program_writes_the_same(self):
        done = program("result.result", self.raw, self.folder / "result.json")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(load(self.folder / "result.json"), json.loads(json.dumps(self.build())))


class Sinks(unittest.TestCase):
    HOP = {"name": "r1", "outputs": ["out0", "out1", "out2"], "groups": 1}

    def test_fan_out_expects_every_packet_at_every_sink(self):
        accounts = [{"delivered": n} for n in (100, 100, 300, 100, 99, 100)]
        sink = sink_of([self.HOP], [{}], 100, accounts, {})
        self.assertEqual((sink["expected"], sink["received"], sink["lost"]), (300, 299, 1))

    def test_fan_outs_in_a_row_multiply(self):
        hops = [self.HOP, {"name": "r2", "outputs": ["out0", "out1"], "groups": 1},
                {"name": "r3", "outputs": [], "groups": 1}]
        finals = [{}, {}, {"total": {"matched": 600}}]
        self.assertEqual(sink_of(hops, finals, 100, [], {})["lost"], 0)

    def test_groups_on_one_link_multiply(self):
        hop = {"name": "r1", "outputs": ["out0"], "groups": 50}
        sink = sink_of([hop], [{}], 100, [{"delivered": 4_999}], {})
        self.assertEqual((sink["expected"], sink["lost"]), (5_000, 1))

    def test_terminus_counts_itself(self):
        hops = [{"name": "r1", "outputs": ["out0"], "groups": 1},
                {"name": "r2", "outputs": [], "groups": 1}]
        sink = sink_of(hops, [{}, {"total": {"matched": 98}}], 100, [{"delivered": 98}], {})
        self.assertEqual((sink["source"], sink["expected"], sink["lost"]), ("terminus relay", 100, 2))

    def test_of_several_receivers_the_worst_latency(self):
        quiet = {"count": 5, "p50": 1, "p99": 2, "p99_9": 3, "max": 4}
        late = {"count": 6, "p50": 0, "p99": 9, "p99_9": 9, "max": 10}
        silent = {"count": 0, "p50": 0, "p99": 0, "p99_9": 0, "max": 0}
        self.assertEqual(worst_latency([quiet, late, silent]),
                         {"count": 11, "p50": 1, "p99": 9, "p99_9": 9, "max": 10})
        self.assertIsNone(worst_latency([silent]))


class Fanout(Recorded):
    def test_outputs_are_found_by_their_interface(self):
        """Whatever the order in the relay's report; none may be left out."""
        def add(counters, extra):
            counters["r1:out1"] = {**counters["r1:out0"], "tx_packets": extra, "tx_bytes": extra * 242}
            counters["sink1:in0"] = {**counters["sink:in0"], "rx_packets": extra}

        def report(stats):
            stats["outputs"].insert(0, {**stats["outputs"][0], "interface": "out1", "sent": 19_990})
            stats["total"].update(egress_sent=39_990, egress_errors=10)
        self.change("run.json", lambda run: (run.update(sinks=[]), run["hops"][0].update(
            outputs=["out0", "out1"], downstream=["sink:in0", "sink1:in0"])))
        self.change("links.before.json", lambda counters: add(counters, 0))
        self.change("links.after.json", lambda counters: add(counters, 19_990))
        self.change("r1.stats.json", report)
        for when in ("before", "running", "after"):
            self.change(f"offloads.{when}.json", lambda found: found.update(
                {"r1:out1": found["r1:out0"], "sink1:in0": found["sink:in0"]}))
        series = (self.raw / "r1.series.ndjson").read_text().splitlines()
        rows = [json.loads(line) for line in series]
        for row in rows:
            row["interfaces"].append({**row["interfaces"][-1], "name": "out1"})
        (self.raw / "r1.series.ndjson").write_text("\n".join(map(json.dumps, rows)) + "\n")
        found = self.build()
        self.assertEqual(found["problems"], [])
        self.assertEqual((found["sink"]["expected"], found["sink"]["lost"]), (40_000, 10))
        self.change("r1.stats.json", lambda stats: stats["outputs"].pop())
        self.assertIn("ledger of 'r1 out0 -> sink' is empty", self.problems())


class Problems(Recorded):
    def test_open_ledger(self):
        def lose(counters):
            counters["r1:in0"]["rx_packets"] -= 1000
        self.change("links.after.json", lose)
        self.assertIn("ledger of 'gen -> r1' does not close: residual 1000 of 20000", self.problems())

    def test_packets_from_nowhere(self):
        def find(counters):
            counters["sink:in0"]["rx_packets"] += 1000
        self.change("links.after.json", find)
        self.assertIn("residual -1000 of 20000", self.problems())

    def test_loss_with_a_name_is_no_problem(self):
        def drop(counters):
            counters["r1:in0"]["rx_packets"] -= 1000
            counters["gen:out0"]["tx_dropped"] += 1000
        self.change("links.after.json", drop)
        self.assertNotIn("'gen -> r1'", self.problems())  # but r1 then got more than arrived

    def cut_off(self, end: str, byte_count: int) -> None:
        self.change("links.after.json", lambda counters: counters[end].update(
            tx_bytes=counters[end]["tx_bytes"] - byte_count))

    def test_a_relay_that_cuts_packets_off(self):
        self.cut_off("r1:out0", 20_000)
        self.assertEqual(self.problems(), "ledger of 'r1 out0 -> sink, bytes' does not close: residual 20000 of 4840000 bytes")

    def test_a_relay_that_sends_its_whole_buffer(self):
        self.cut_off("r1:out0", -100 * 20_000)
        self.assertIn("'r1 out0 -> sink, bytes' does not close: residual -2000000", self.problems())

    def test_bytes_of_a_few_packets_of_others_do_not_matter(self):
        self.cut_off("r1:out0", 4_000)
        self.assertTrue(self.build()["valid"])

    def test_of_packets_of_all_sizes_nobody_knows_the_bytes(self):
        self.cut_off("r1:out0", 20_000)
        self.change("run.json", lambda run: run["scenario"].update(payload_bytes="imix"))
        found = self.build()
        self.assertTrue(found["valid"])
        self.assertNotIn("bytes", " ".join(account["account"] for account in found["ledger"]))

    def test_wrong_binary(self):
        (self.raw / "r1.sha256").write_text("0" * 64 + "\n")
        self.assertIn("r1: the binary that ran (000000000000) is not the one that was built",
                      self.problems())

    def test_offload_flipped(self):
        for file, when in (("before", "before"), ("running", "during"), ("after", "after")):
            name = f"offloads.{file}.json"
            kept = (self.raw / name).read_text()
            self.change(name, lambda found: found["r1:in0"].update({"tx-udp-segmentation": "on"}))
            self.assertIn(f"r1:in0: tx-udp-segmentation is on {when} the run", self.problems())
            (self.raw / name).write_text(kept)

    def test_offload_that_nobody_could_read(self):
        self.change("offloads.after.json", lambda found: found["r1:in0"].pop("tx-udp-segmentation"))
        self.assertIn("tx-udp-segmentation is unknown after the run", self.problems())
        (self.raw / "offloads.after.json").write_text("{}")
        self.assertIn("sink:in0: tx-udp-segmentation is unknown after the run", self.problems())

    def test_error_in_the_log(self):
        with open(self.raw / "r1.log", "a", encoding="ascii") as log:
            log.write("[ERROR:Stats] cannot write\n[ERROR:Stats] again\n")
        self.assertEqual(self.problems(), "r1: [ERROR:Stats] cannot write")
        for level in ("EMERGENCY", "ALERT", "CRITICAL"):
            (self.raw / "r1.log").write_text(f"[INFO:Main] ready\n[{level}:Main] no\n")
            self.assertEqual(self.problems(), f"r1: [{level}:Main] no")
        (self.raw / "r1.log").write_text("[INFO:Main] ready\n[WARNING:Main] well\n[NOTICE:Main] so\n")
        self.assertTrue(self.build()["valid"])

    def test_relay_exit_code(self):
        (self.raw / "r1.exit").write_text("137\n")
        self.assertIn("r1: the relay ended with exit code 137", self.problems())

    def test_generator_that_sent_nothing(self):
        def silence(report):
            report.update(packets_sent=0, samples=[[t, 0] for t, _ in report["samples"]])
        self.change("gen.json", silence)
        self.assertIn("the generator sent nothing", self.problems())

    def test_no_packet_got_that_far(self):
        def none(counters):
            counters["gen:out0"]["tx_packets"] = counters["r1:in0"]["rx_packets"] = 0
        self.change("links.after.json", none)
        self.assertIn("ledger of 'r1 in' is empty: no packet got that far", self.problems())

    def test_receiver_that_lost_track(self):
        self.change("sink.recv.json", lambda report: report.update(received=10_000))
        self.assertIn("ledger of 'sink socket' does not close", self.problems())


class Aggregates(Recorded):
    """The ring drops frames of up to 64 packets; the interface knows how many packets."""
    RAW = "raw-gro"

    def test_a_relay_that_lives_on_aggregates_before_and_after_a_run_too(self):
        for when in ("before", "after"):
            self.change(f"offloads.{when}.json", lambda found: found["r1:in0"].update(
                {"generic-receive-offload": "on", "rx-udp-gro-forwarding": "on"}))
        self.assertIn("r1:in0: generic-receive-offload is on before the run, the scenario declares off", self.build()["problems"])
        self.change("run.json", lambda run: run.update(living=True))
        rows = (self.raw / "r1.series.ndjson").read_text().splitlines()
        first = json.loads(rows[0])
        first["total"] = {key: 0 if isinstance(value, int) else value for key, value in first["total"].items()}
        first["outputs"] = [output | {"sent": 0} for output in first["outputs"]]
        last = json.dumps(load(self.raw / "r1.stats.json"))
        (self.raw / "r1.series.ndjson").write_text("\n".join([json.dumps(first), *rows[1:], last]) + "\n")
        self.assertEqual(self.build()["problems"], [])

    def ingress(self) -> dict:
        return next(account for account in result.build(self.raw)["ledger"]
                    if account["account"] == "r1 in")

    def test_whole(self):
        found = self.build()
        self.assertEqual((found["valid"], found["problems"]), (True, []))
        self.assertEqual((found["link_profile"], found["overrides"]), ("gro", {"profile": "gro"}))
        self.assertEqual(found["sut"]["options"], "--exclusive --ring-slots 16 --gro")
        hop, total = found["hops"][0], load(self.raw / "r1.stats.json")["total"]
        self.assertGreater(total["exhaustion_frames"], 0)
        self.assertGreater(hop["packets_per_frame"], 1)
        self.assertEqual(self.ingress()["drops"]["buffer_exhaustion"],
                         found["generator"]["packets_sent"] - total["recv_packets"])
        self.assertGreater(hop["buffer_exhaustion"], hop["exhaustion_frames"])
        self.assertAlmostEqual(hop["buffer_exhaustion_ratio"], 1 - hop["matched_pps"] /
                               hop["interface_pps"], places=2)
        self.assertAlmostEqual(hop["loss_ratio"], found["sink"]["lost"] / found["sink"]["expected"])

    def test_more_than_the_frames_can_have_held(self):
        self.change("r1.stats.json", lambda stats: stats["total"].update(exhaustion_frames=400))
        account = self.ingress()
        self.assertEqual(account["drops"]["buffer_exhaustion"], 400 * 64)
        self.assertGreater(account["residual"], 0)
        self.change("r1.stats.json", lambda stats: stats["total"].update(exhaustion_frames=0))
        self.assertEqual(self.ingress()["drops"]["buffer_exhaustion"], 0)
        self.assertIn("ledger of 'r1 in' does not close", self.problems())

    def test_fewer_packets_than_frames(self):
        self.change("r1.stats.json", lambda stats: stats["total"].update(exhaustion_frames=30_000))
        self.assertLess(self.ingress()["residual"], 0)
        self.assertIn("ledger of 'r1 in' does not close", self.problems())

    def test_aggregation_that_was_not_on_or_was_left_on(self):
        self.change("offloads.running.json", lambda found: found["r1:in0"].update(
            {"rx-udp-gro-forwarding": "off"}))
        self.assertIn("r1:in0: rx-udp-gro-forwarding is off during the run, profile gro asks for on",
                      self.problems())
        self.change("offloads.after.json", lambda found: found["r1:in0"].update(
            {"generic-receive-offload": "on"}))
        self.assertIn("r1:in0: generic-receive-offload is on after the run, the scenario declares off",
                      self.problems())


class Kernel(Recorded):
    RAW = "raw-kernel"

    def test_whole(self):
        found = self.build()
        self.assertEqual((found["valid"], found["problems"]), (True, []))
        self.assertEqual((found["sut"]["name"], found["sink"]["source"]),
                         ("smcroute", "interface counters"))
        hop = found["hops"][0]
        self.assertGreater(hop["egress_pps"], 0)
        self.assertEqual((hop["ingress_pps"], hop["cpu_ns_per_packet"], hop["buffer_exhaustion_ratio"]),
                         (None, None, None))
        self.assertEqual([account["account"] for account in found["ledger"]],
                         ["gen -> r1", "r1 forwarding", "r1 out0 -> sink", "gen -> r1, bytes", "r1 out0 -> sink, bytes"])

    def test_the_sampler_has_to_cover_the_window(self):
        start, end = self.build()["window_ns"]
        self.keep_lines("r1.series.ndjson", lambda row: not start + 150e6 < row["time_ns"] <= end)
        with self.assertRaisesRegex(Faulty, "the samples of r1 cover "):
            result.build(self.raw)

    def test_what_the_kernel_lost_without_a_word(self):
        def lose(counters):
            for end in ("r1:out0", "sink:in0"):
                for direction in ("tx", "rx"):
                    counters[end][f"{direction}_packets"] -= 1000
        self.change("links.after.json", lose)
        self.assertIn("ledger of 'r1 forwarding' does not close: residual 1000", self.problems())

    def test_smcrouted_that_failed(self):
        (self.raw / "r1.exit").write_text("1\n")
        self.assertIn("r1: smcrouted ended with exit code 1", self.problems())
        (self.raw / "r1.log").write_text("smcrouted: no such luck\n")
        self.assertIn("r1: smcrouted: no such luck", self.problems())
        (self.raw / "r1.sha256").write_text("0" * 64 + "\n")
        self.assertIn("r1: the binary that ran", self.problems())


class Unusable(Recorded):
    """Raw data that no result can be made of: exit 1, one line, and nothing written."""

    def refused(self, name: str) -> None:
        done = program("result.result", self.raw, self.folder / "result.json")
        self.assertEqual(done.returncode, 5, name)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("result.py: "), done.stderr)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["raw"])

    def each(self, damage) -> None:
        for path in sorted((DATA / "raw").iterdir()):
            if path.name in ("gen.log", "sink.log", "r1.rules.json"):
                continue  # for people
            with self.subTest(file=path.name):
                damage(self.raw / path.name)
                self.refused(path.name)
                shutil.copy(path, self.raw / path.name)

    def test_each_missing_file(self):
        self.each(lambda path: path.unlink())

    def test_each_json_file_cut_in_the_middle(self):
        def cut(path: Path) -> None:
            if path.suffix in (".json", ".ndjson"):
                text = path.read_text().rstrip()
                path.write_text(text[:len(text) - len(text) // 3])
            else:
                path.unlink()
        self.each(cut)

    def test_each_json_file_of_another_shape(self):
        def reshape(path: Path) -> None:
            if path.suffix in (".json", ".ndjson"):
                path.write_text("[7]\n")
            else:
                path.unlink()
        self.each(reshape)

    def test_too_few_samples_in_the_window(self):
        lines = (self.raw / "r1.series.ndjson").read_text().splitlines(keepends=True)
        (self.raw / "r1.series.ndjson").write_text("".join(lines[:1] + lines[-1:]))
        self.refused("series")

    def test_empty_folder_and_no_folder(self):
        shutil.rmtree(self.raw)
        self.raw.mkdir()
        self.refused("empty")

    def test_target_that_cannot_be_written(self):
        done = started("result.result", self.raw, self.folder / "no" / "result.json")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (4, 1))

    def test_full_disk(self):
        def nearly_full():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        done = started("result.result", self.raw, self.folder / "result.json", preexec_fn=nearly_full)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (4, 1))
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["raw"])

    def test_usage(self):
        self.assertEqual(program("result.result", self.raw).returncode, 64)


class Schemas(unittest.TestCase):
    def described(self, node, path: str) -> None:
        if isinstance(node, dict):
            for name, value in node.get("properties", {}).items():
                if "/then" not in path and "/if" not in path and "/else" not in path:
                    self.assertIn("description", value, f"{path}/{name}")
            for key, value in node.items():
                self.described(value, f"{path}/{key}")
        elif isinstance(node, list):
            for value in node:
                self.described(value, path)

    def test_every_property_has_a_description(self):
        for name in ("result", "verdict", "fastpath", "sweep", "compare", "budget"):
            self.described(schema(name).schema, name)

    def test_they_refuse_what_is_wrong(self):
        valid = load(DATA / "pipeline-relay.result.json")
        schema("result").validate(valid)
        for change in ({"surprise": 1}, {"schema": 2}, {"kind": "other"}, {"valid": False},
                       {"offered_pps": -1}, {"utc": "yesterday"}, {"hops": [{}]}):
            with self.subTest(change=change):
                self.assertFalse(schema("result").is_valid({**valid, **change}))
        for key in valid:
            with self.subTest(missing=key):
                self.assertFalse(schema("result").is_valid(
                    {k: v for k, v in valid.items() if k != key}))


if __name__ == "__main__":
    unittest.main()
