import unittest

from harness.result import ledger

TOTAL = {"matched": 0, "buffer_exhaustion": 0, "drop_malformed": 0, "drop_fragment": 0,
         "drop_truncated": 0, "drop_checksum": 0, "drop_no_match": 0, "drop_worker_died": 0,
         "egress_sent": 0, "egress_errors": 0, "drop_handoff": 0, "recv_packets": 0,
         "exhaustion_frames": 0}


def total(**counters: int) -> dict:
    return {**TOTAL, **counters}


class Close(unittest.TestCase):
    def test_closes_when_drops_explain_what_is_missing(self):
        account = ledger.close("a", "packets", 1000, 900, {"x": 60, "y": 40})
        self.assertEqual((account["residual"], account["residual_ratio"]), (0, 0.0))
        self.assertTrue(account["closed"])

    def test_a_leak_opens_it(self):
        account = ledger.close("a", "packets", 1000, 900, {"x": 60})
        self.assertEqual(account["residual"], 40)
        self.assertAlmostEqual(account["residual_ratio"], 0.04)
        self.assertFalse(account["closed"])

    def test_packets_from_nowhere_open_it(self):
        account = ledger.close("a", "packets", 1000, 1000, {"x": 60})
        self.assertEqual(account["residual"], -60)
        self.assertAlmostEqual(account["residual_ratio"], 0.06)
        self.assertFalse(account["closed"])

    def test_nothing_offered_never_closes(self):
        for delivered in (0, 5):
            account = ledger.close("a", "packets", 0, delivered, {})
            self.assertFalse(account["closed"])
            self.assertEqual(account["residual_ratio"], 0.0)

    def test_tolerance_is_one_in_a_thousand_on_both_sides(self):
        for offered, delivered, closed in ((10_000, 9_990, True), (10_000, 9_989, False),
                                           (10_000, 10_010, True), (10_000, 10_011, False),
                                           (999, 998, False), (1_000, 999, True)):
            with self.subTest(offered=offered, delivered=delivered):
                self.assertIs(ledger.close("a", "p", offered, delivered, {})["closed"], closed)

    def test_large_counts_stay_exact(self):
        account = ledger.close("a", "p", 2**63, 2**63 - 3, {"x": 2})
        self.assertEqual(account["residual"], 1)


class Accounts(unittest.TestCase):
    def test_link(self):
        account = ledger.link("l", 100, {"packets": 100, "dropped": 3},
                              {"packets": 95, "dropped": 2})
        self.assertEqual((account["offered"], account["delivered"], account["residual"]), (100, 95, 0))

    def test_hop_in_counts_each_named_drop(self):
        drops = ("buffer_exhaustion", "drop_malformed", "drop_fragment", "drop_truncated",
                 "drop_checksum", "drop_no_match", "drop_worker_died")
        counters = total(matched=900, **{name: i for i, name in enumerate(drops, 1)})
        account = ledger.hop_in("h", 900 + 28, counters)
        self.assertEqual(account["residual"], 0)
        self.assertEqual(sorted(account["drops"].values()), [1, 2, 3, 4, 5, 6, 7])

    def aggregated(self, arrived: int, received: int, frames: int, foreign: int = 0) -> dict:
        return ledger.hop_in_aggregated("h", arrived, foreign, total(
            matched=received, recv_packets=received, exhaustion_frames=frames))

    def test_dropped_frames_are_resolved_into_packets(self):
        for frames in (100, 1_000, 6_400):  # 64, 6.4, 1 packets each
            account = self.aggregated(100_000, 93_600, frames)
            self.assertEqual((account["drops"]["buffer_exhaustion"], account["residual"],
                              account["closed"]), (6_400, 0, True))

    def test_dropped_packets_that_do_not_fit_the_dropped_frames(self):
        for frames, dropped, residual in ((99, 99 * 64, 64), (50, 3_200, 3_200), (0, 0, 6_400),
                                          (7_000, 7_000, -600)):
            with self.subTest(frames=frames):
                account = self.aggregated(100_000, 93_600, frames)
                self.assertEqual((account["drops"]["buffer_exhaustion"], account["residual"]),
                                 (dropped, residual))
                self.assertIs(account["closed"], abs(residual) <= 100)

    def test_what_is_not_for_the_relay_is_not_dropped(self):
        account = self.aggregated(1_010, 1_000, 0, foreign=10)
        self.assertEqual((account["drops"]["foreign"], account["residual"]), (10, 0))
        self.assertEqual(self.aggregated(1_010, 1_000, 0)["residual"], 10)

    def test_named_drops_of_what_was_received_stay(self):
        account = ledger.hop_in_aggregated("h", 100_000, 0, total(
            matched=90_000, recv_packets=93_600, drop_no_match=3_600, exhaustion_frames=200))
        self.assertEqual((account["residual"], account["drops"]["no_match"]), (0, 3_600))

    def test_the_kernel_owes_each_packet_to_every_output(self):
        account = ledger.forwarded("h", 100, [{"packets": 90, "dropped": 10},
                                              {"packets": 100, "dropped": 0}])
        self.assertEqual((account["offered"], account["residual"]), (200, 0))
        self.assertFalse(ledger.forwarded("h", 100, [{"packets": 90, "dropped": 0}])["closed"])

    def test_hop_out_owes_each_packet_to_every_output(self):
        account = ledger.hop_out("h", 3, total(matched=100, egress_sent=290, egress_errors=10))
        self.assertEqual((account["offered"], account["residual"]), (300, 0))
        self.assertEqual(ledger.hop_out("h", 1, total(matched=9, egress_sent=6, drop_handoff=3))
                         ["residual"], 0)
        self.assertEqual(ledger.hop_out("h", 1, total(matched=9, egress_sent=6, drop_ttl=3))["drops"]["ttl"], 3)
        self.assertFalse(ledger.hop_out("h", 3, total(matched=100, egress_sent=200))["closed"])

    def test_receiver(self):
        report = {"received": 90, "socket_drops": 4, "duplicated": 3, "stale": 1, "corrupt": 1,
                  "foreign": 1}
        self.assertEqual(ledger.receiver("s", 100, [report], False)["residual"], 0)

    def test_receiver_that_drops_aggregates(self):
        report = {"received": 90, "socket_drops": 2, "duplicated": 0, "stale": 0, "corrupt": 0,
                  "foreign": 0}
        for arrived, residual in ((92, 0), (218, 0), (219, 1), (91, -1)):
            with self.subTest(arrived=arrived):
                self.assertEqual(ledger.receiver("s", arrived, [report], True)["residual"], residual)
        self.assertEqual(ledger.receiver("s", 218, [report], False)["residual"], 126)


class Sizes(unittest.TestCase):
    def whole(self, byte_count: int, aggregates: bool) -> int:
        account = ledger.whole("a link, bytes", 1000, {"packets": 100, "bytes": byte_count}, aggregates)
        return account["residual"]

    def test_each_byte_that_is_missing_or_too_many(self):
        self.assertEqual([self.whole(count, False) for count in (104_200, 104_100, 154_200)], [0, 100, -50_000])

    def test_where_aggregates_may_arrive_ethernet_headers_may_be_missing_and_nothing_else(self):
        self.assertEqual([self.whole(count, True) for count in (104_200, 103_500, 102_800, 102_700, 104_300)],
                         [0, 0, 0, 100, -100])


if __name__ == "__main__":
    unittest.main()
