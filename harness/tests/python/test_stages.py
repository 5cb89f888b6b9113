"""Where samples of perf belong."""

import unittest


from harness.report import stages


def chain(*functions: str) -> str:
    """As perf script prints it: innermost first."""
    return "exe\n" + "".join(f"\tffffffff81{i:06x} {name} ({'[kernel.kallsyms]' if name[0] != '@' else '/x/mcrelay'})\n"
                             for i, name in enumerate(functions)) + "\n"


class Stages(unittest.TestCase):
    CASES = {
        ("_copy_from_iter", "ip_generic_getfrag", "ip_make_skb", "udp_sendmsg", "do_syscall_64"):
            "copy of the payload",
        ("kmem_cache_alloc", "__alloc_skb", "skb_segment", "__udp_gso_segment", "udp_send_skb"): "segmentation",
        ("veth_xmit", "dev_hard_start_xmit", "__dev_queue_xmit", "ip_finish_output2", "udp_sendmsg"):
            "transmit over the link",
        ("tpacket_rcv", "__netif_receive_skb_core", "net_rx_action", "handle_softirqs", "veth_xmit", "udp_sendmsg"):
            "receiving end of the next link (softirq)",
        ("finish_task_switch.isra.0", "__schedule", "schedule", "io_cqring_wait", "do_syscall_64"):
            "sleeping and waking",
        ("__alloc_skb", "ip_make_skb", "udp_sendmsg", "do_syscall_64"): "UDP and IP, socket buffers",
        ("fget", "io_submit_sqes", "do_syscall_64"): "system call, io_uring",
        ("@forward_burst", "@main"): "the relay itself",
        ("asm_sysvec_apic_timer_interrupt",): "interrupts and other",
    }

    def test_each_stage(self):
        for functions, stage in self.CASES.items():
            with self.subTest(stage):
                by_stage, by_function = stages.share_out(chain(*functions))
                self.assertEqual({name for name, count in by_stage.items() if count}, {stage})
                self.assertEqual(by_function[functions[0]], 1)

    def test_every_sample_counts_once(self):
        text = "".join(chain(*functions) for functions in self.CASES)
        by_stage, _ = stages.share_out(text)
        self.assertEqual(sum(by_stage.values()), len(self.CASES))
        self.assertEqual(set(by_stage.values()), {1})

    def test_nothing(self):
        by_stage, by_function = stages.share_out("")
        self.assertEqual(sum(by_stage.values()), 0)
        self.assertFalse(by_function)


if __name__ == "__main__":
    unittest.main()
