"""What came of a fault: verdict/chaos/chaos.py, from files as chaos.bash leaves them."""

import json
import tempfile
import unittest
from pathlib import Path

from harness.tests.python.support import load, schema, DATA
from harness.verdict.chaos import chaos
from harness.verdict.outcome import INVALID, PASS, REGRESSION

RATE = 10_000
BEGUN_MS, ENDED_MS, END_MS = 2_000, 3_000, 6_500
STATE = {"processes": 2, "own_bytes": 9_000_000, "descriptors": 40, "threads": 2,
         "interfaces": {"in0": {"promiscuity": 0, "allmulti": False, "mtu": 1500, "operstate": "UP"}}, "groups": ["in0 239.255.77.1"]}


def samples(gap: tuple[int, int] | None) -> list[list[int]]:
    """Of a receiver, each 20 ms, that got nothing in between."""
    found, total = [], 0
    for ms in range(500, END_MS + 20, 20):
        if not (gap and gap[0] < ms <= gap[1]):
            total += RATE // 50
        found.append([ms * 1_000_000, total])
    return found


class Fault(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.sitting = Path(folder.name)
        self.raw = self.sitting / "faults" / "some-fault"
        self.raw.mkdir(parents=True)

    def fault(self, gap=None, keeps=False, may_lose=(), lost_where="behind", state=STATE, status="0", pause=None, **received) -> dict:
        """The verdict on a relay behind which nothing came in the `gap`, (ms, ms); what was lost meanwhile was lost there."""
        counts = samples(gap or pause)
        sent = samples(pause)[-1][1]
        got = counts[-1][1]
        total = dict.fromkeys((*chaos.RELAY, "egress_errors"), 0)
        arrived = {"before": got}.get(lost_where, sent)
        matched = sent if lost_where in ("behind", "egress_errors") else got
        if lost_where == "buffer_exhaustion":
            total["buffer_exhaustion"] = sent - got
        total |= {"matched": matched, "egress_sent": got if lost_where == "egress_errors" else matched}
        counters = {"r1:in0": {"rx_packets": 100}}, {"r1:in0": {"rx_packets": 100 + arrived}}
        files = {"declared": {"name": "some-fault", "what": "something happens", "limit_ms": 1000, "keeps": keeps, "may_lose": list(may_lose)},
                 "times": {"begun_ms": BEGUN_MS, "ended_ms": ENDED_MS},
                 "gen": {"packets_sent": sent, "packet_rate_pps": RATE, "end_ns": END_MS * 1_000_000,
                         "samples": samples(pause)},
                 "sink.recv": {"samples": counts, "received": got, "duplicated": 0, "corrupt": 0, "foreign": 0, "stale": 0,
                               "socket_drops": 0} | received,
                 "r1.stats": {"total": total}, "state.before": STATE, "state.after": state,
                 "links.before": counters[0], "links.after": counters[1]}
        for name, what in files.items():
            (self.raw / f"{name}.json").write_text(json.dumps(what))
        (self.raw / "r1.exit").write_text(f"{status}\n")
        (self.raw / "r1.log").write_text("[INFO:Supervisor] ready\n[WARNING:Supervisor] something happened to /some/where/r1.stats.json: no space\n")
        return chaos.judge(self.raw)

    def assert_fails(self, reason: str, **how) -> None:
        found = self.fault(**how)
        self.assertEqual(found["verdict"], REGRESSION)
        self.assertRegex("; ".join(found["reasons"]), reason)

    def test_packets_that_flow_all_the_while(self):
        found = self.fault(keeps=True)
        self.assertEqual((found["verdict"], found["reasons"], found["again_ms"], found["lost"]), (PASS, [], 0.0, {}))
        self.assertEqual(found["said"], "something happened to r1.stats.json: no space")

    def test_packets_that_stop_and_flow_again_in_time(self):
        found = self.fault(gap=(2_000, 3_400), may_lose=["behind"])
        self.assertEqual((found["verdict"], found["reasons"]), (PASS, []))
        self.assertLess(abs(found["again_ms"] - 400), 40)
        self.assertEqual(found["lost"], {"behind": 14_000})

    def test_too_late(self):
        self.assert_fails("again after 1[45][0-9]{2} ms; 1000 ms are allowed", gap=(2_000, 4_500), may_lose=["behind"])

    def test_never(self):
        self.assert_fails("did not flow again", gap=(2_000, 9_000), may_lose=["behind"])

    def test_again_and_then_no_more(self):
        self.assert_fails("did not flow again", gap=(4_000, 9_000), may_lose=["behind"])

    def test_a_fault_that_is_none_of_the_packets_business(self):
        self.assert_fails("did not flow on: at the least 0%", gap=(2_100, 2_500), keeps=True, may_lose=["behind"])

    def test_a_generator_that_stands_still_is_no_fault_of_the_relays(self):
        found = self.fault(pause=(2_900, 4_600), keeps=True)
        self.assertEqual((found["verdict"], found["reasons"]), (PASS, []))

    def test_a_loss_where_none_may_be(self):
        for where in ("before", "unseen", "buffer_exhaustion", "egress_errors", "behind"):
            self.assert_fails(f"packets lost: {where}", gap=(2_000, 2_500), lost_where=where)
            self.assertEqual(self.fault(gap=(2_000, 2_500), lost_where=where, may_lose=[where])["verdict"], PASS)

    def test_packets_twice_or_changed(self):
        self.assert_fails("3 packets duplicated", duplicated=3)
        self.assert_fails("3 packets corrupt", corrupt=3)

    def test_what_leaks(self):
        self.assert_fails("40 descriptors before, 41 after", state=STATE | {"descriptors": 41})
        self.assert_fails("2 processes before, 3 after", state=STATE | {"processes": 3})
        self.assert_fails("3.0 MiB more than before", state=STATE | {"own_bytes": 9_000_000 + (3 << 20)})
        self.assert_fails("groups joined: none", state=STATE | {"groups": []})
        self.assert_fails("interfaces: ", state=STATE | {"interfaces": {}})

    def test_a_relay_that_does_not_end_well(self):
        self.assert_fails("ended with 137", status="137")

    def test_no_traffic_before_is_no_measurement(self):
        self.assertEqual(self.fault(gap=(500, 2_500), may_lose=["behind"])["verdict"], INVALID)

    def test_an_interface_that_was_made_anew_counts_on(self):
        for when, count in (("before", 100), ("gone", 1_100), ("after", 5_000)):
            (self.raw / f"links.{when}.json").write_text(json.dumps({"r1:in0": {"rx_packets": count}}))
        self.assertEqual(chaos.change(self.raw, "r1:in0", "rx_packets"), 6_000)
        (self.raw / "links.gone.json").write_text(json.dumps({"r1:out0": {"rx_packets": 7}}))
        self.assertEqual(chaos.change(self.raw, "r1:in0", "rx_packets"), 4_900)

    def test_the_document(self):
        self.fault(gap=(2_000, 2_500), may_lose=["behind"])
        recorded = load(DATA / "pipeline-relay.result.json")
        (self.sitting / "run.json").write_text(json.dumps({name: recorded[name] for name in (
            "utc", "commit", "dirty", "profile", "sut", "declared")}))
        document = chaos.collect(self.sitting)
        schema("chaos").validate(document)
        self.assertEqual(document["verdict"], PASS)
        self.assertIn("5,000 behind", chaos.shown(document["faults"], True))


if __name__ == "__main__":
    unittest.main()
