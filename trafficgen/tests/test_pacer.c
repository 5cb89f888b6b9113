// SPDX-License-Identifier: MIT
/* pacer: driven by a clock that the test sets; every run is exact to the packet. */
#include "../pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SECOND 1000000000ull
#define MS     1000000ull
#define START  (12345 * SECOND + 678)

static struct pacer make(uint64_t rate, uint64_t limit, uint64_t duration, uint64_t burst,
			 uint64_t batch)
{
	struct pacer pacer = {
		.rate_pps = rate,
		.limit = limit,
		.start_ns = START,
		.end_ns = duration == PACER_NO_LIMIT ? PACER_NO_LIMIT : START + duration,
	};

	pacer_set_burst(&pacer, burst, batch);
	return pacer;
}

/* A sender that oversleeps by `late_ns` each time; returns when it was done. */
static uint64_t simulate(struct pacer *pacer, uint64_t late_ns, uint64_t *wakeups)
{
	uint64_t now = START - MS;

	*wakeups = 0;
	while (!pacer_done(pacer, now)) {
		uint64_t due = pacer_due(pacer, now);

		if (due > 0) {
			pacer_release(pacer, due);
			continue;
		}
		assert_true(pacer_wake_ns(pacer) > now); /* else it would spin */
		now = pacer_wake_ns(pacer) + late_ns;
		++*wakeups;
	}
	return now;
}

static void test_exact_rates(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 999, 1000, 20000, 333333, 1000000, 14880952};
	uint64_t wakeups;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct pacer pacer = make(rates[i], 3 * rates[i], PACER_NO_LIMIT, 1, 64);

		assert_int_equal(simulate(&pacer, 0, &wakeups), START + 3 * SECOND);
		assert_int_equal(pacer.released, 3 * rates[i]);
		assert_int_equal(pacer.slip_ns, 0);
		assert_true(wakeups <= 1 + 3 * 30000 + 3 * rates[i] / 64);
	}
}

static void test_late_wakeups_do_not_add_up(void **state)
{
	struct pacer pacer = make(1000000, 1000000, PACER_NO_LIMIT, 32, 16);
	uint64_t wakeups;

	(void)state;
	assert_in_range(simulate(&pacer, 70000, &wakeups), START + SECOND, START + SECOND + 70000);
	assert_int_equal(pacer.released, 1000000);
	assert_int_equal(pacer.slip_ns, 0);
}

static void test_one_by_one_with_a_batch_of_one(void **state)
{
	struct pacer pacer = make(20000, 20000, PACER_NO_LIMIT, 1, 1);
	uint64_t wakeups;

	(void)state;
	simulate(&pacer, 0, &wakeups);
	assert_int_equal(wakeups, 20000);
}

static void test_quantum(void **state)
{
	(void)state;
	assert_int_equal(make(1000, 1, 1, 1, 64).quantum, 1);	    /* less than one in 100 us */
	assert_int_equal(make(1000000, 1, 1, 1, 256).quantum, 100); /* 100 us */
	assert_int_equal(make(1000000, 1, 1, 1, 16).quantum, 16);   /* a batch */
	assert_int_equal(make(1000000, 1, 1, 32, 16).quantum, 96);  /* whole messages */
	assert_int_equal(make(1000, 1, 1, 32, 16).quantum, 32);	    /* one message */
}

static void test_whole_bursts_and_a_short_last_one(void **state)
{
	struct pacer pacer = make(1000000, 100, PACER_NO_LIMIT, 32, 16);

	(void)state;
	assert_int_equal(pacer_due(&pacer, START + 31000), 0);
	assert_int_equal(pacer_due(&pacer, START + 70000), 64);
	pacer_release(&pacer, 64);
	assert_int_equal(pacer_due(&pacer, START + 99000), 32);
	pacer_release(&pacer, 32);
	assert_int_equal(pacer_due(&pacer, START + 99999), 0);
	assert_int_equal(pacer_due(&pacer, START + 200000), 4);
	pacer_release(&pacer, 4);
	assert_true(pacer_done(&pacer, START + 200000));
}

static void test_duration_is_rate_times_duration(void **state)
{
	struct pacer pacer = make(12345, PACER_NO_LIMIT, 2 * SECOND, 32, 16);
	uint64_t wakeups;

	(void)state;
	assert_int_equal(simulate(&pacer, 60000, &wakeups), START + 2 * SECOND + 60000);
	assert_int_equal(pacer.released, 24690);
}

static void test_count_before_duration(void **state)
{
	struct pacer pacer = make(1000, 500, 2 * SECOND, 1, 16);
	uint64_t wakeups;

	(void)state;
	assert_int_equal(simulate(&pacer, 0, &wakeups), START + SECOND / 2);
	assert_int_equal(pacer.released, 500);
}

static void test_stall_slips_all_but_ten_ms(void **state)
{
	struct pacer pacer = make(100000, PACER_NO_LIMIT, PACER_NO_LIMIT, 1, 16);

	(void)state;
	assert_int_equal(pacer_due(&pacer, START + 10 * MS), 1000); /* 10 ms: caught up */
	assert_int_equal(pacer.slip_ns, 0);
	pacer_release(&pacer, 1000);
	assert_int_equal(pacer_due(&pacer, START + 60 * MS), 1000); /* 50 ms: 40 are given up */
	assert_int_equal(pacer.slip_ns, 40 * MS);
	pacer_release(&pacer, 1000);
	assert_int_equal(pacer_due(&pacer, START + 61 * MS), 100); /* and the pace goes on */
}

static void test_stall_at_a_low_rate_keeps_one_packet(void **state)
{
	struct pacer pacer = make(10, PACER_NO_LIMIT, PACER_NO_LIMIT, 1, 16);

	(void)state;
	assert_int_equal(pacer_due(&pacer, START + 550 * MS), 1);
	assert_int_equal(pacer.slip_ns, 400 * MS);
	pacer_release(&pacer, 1);
	assert_int_equal(pacer_wake_ns(&pacer), START + 600 * MS); /* still on the grid */
}

/* A sender that takes 2 us per packet, asked for one per us. */
static void test_overload_ends_in_time(void **state)
{
	struct pacer pacer = make(1000000, PACER_NO_LIMIT, SECOND, 1, 16);
	uint64_t now = START;

	(void)state;
	while (!pacer_done(&pacer, now)) {
		uint64_t due = pacer_due(&pacer, now);
		uint64_t packets = due < 16 ? due : 16;

		pacer_release(&pacer, packets);
		now += packets ? packets * 2000 : 1000;
	}
	assert_in_range(now, START + SECOND, START + SECOND + 11 * MS);
	assert_in_range(pacer.released, 495000, 510000);
	assert_in_range(pacer.slip_ns, 480 * MS, 500 * MS);
}

static void test_unpaced(void **state)
{
	struct pacer pacer = make(0, 1000, SECOND, 32, 16);

	(void)state;
	assert_int_equal(pacer_due(&pacer, START - 1), 0);
	assert_int_equal(pacer_wake_ns(&pacer), START);
	assert_int_equal(pacer_due(&pacer, START), 1000);
	assert_true(pacer_done(&pacer, START + SECOND));
	assert_false(pacer_done(&pacer, START + SECOND - 1));
	pacer_release(&pacer, 1000);
	assert_true(pacer_done(&pacer, START + 1));
}

/* 100 packets at once, each 10 ms; a call that takes 30 of them changes nothing. */
static void test_on_and_off(void **state)
{
	struct pacer pacer = make(10000, 250, PACER_NO_LIMIT, 1, 16);

	(void)state;
	pacer.at_once = 100;
	assert_int_equal(pacer_due(&pacer, START + 9 * MS), 0);
	assert_int_equal(pacer_wake_ns(&pacer), START + 10 * MS);
	assert_int_equal(pacer_due(&pacer, START + 10 * MS), 100);
	pacer_release(&pacer, 30);
	assert_int_equal(pacer_due(&pacer, START + 11 * MS), 70);
	pacer_release(&pacer, 70);
	assert_int_equal(pacer_due(&pacer, START + 19 * MS), 0);
	assert_int_equal(pacer_wake_ns(&pacer), START + 20 * MS);
	assert_int_equal(pacer_due(&pacer, START + 20 * MS), 100);
	pacer_release(&pacer, 100);
	/* the last ones are fewer */
	assert_int_equal(pacer_wake_ns(&pacer), START + 25 * MS);
	assert_int_equal(pacer_due(&pacer, START + 25 * MS), 50);
	pacer_release(&pacer, 50);
	assert_true(pacer_done(&pacer, START + 25 * MS));
	assert_int_equal(pacer.slip_ns, 0);
}

/* What is due at the end of the time goes, also when it is no whole turn. */
static void test_on_and_off_for_a_time(void **state)
{
	struct pacer pacer = make(10000, PACER_NO_LIMIT, 15 * MS, 1, 16);

	(void)state;
	pacer.at_once = 100;
	assert_int_equal(pacer_due(&pacer, START + 12 * MS), 100);
	pacer_release(&pacer, 100);
	assert_int_equal(pacer_wake_ns(&pacer), START + 15 * MS);
	assert_int_equal(pacer_due(&pacer, START + 15 * MS), 50);
}

static void test_a_year_does_not_overflow(void **state)
{
	const uint64_t year_s = 31536000;
	struct pacer pacer = make(1000000000, PACER_NO_LIMIT, PACER_NO_LIMIT, 1, 16);

	(void)state;
	pacer_release(&pacer, year_s * 1000000000);
	assert_int_equal(pacer_due(&pacer, START + year_s * SECOND + 5), 5);
	assert_int_equal(pacer_wake_ns(&pacer), START + year_s * SECOND + 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_rates),
		cmocka_unit_test(test_late_wakeups_do_not_add_up),
		cmocka_unit_test(test_one_by_one_with_a_batch_of_one),
		cmocka_unit_test(test_quantum),
		cmocka_unit_test(test_whole_bursts_and_a_short_last_one),
		cmocka_unit_test(test_duration_is_rate_times_duration),
		cmocka_unit_test(test_count_before_duration),
		cmocka_unit_test(test_stall_slips_all_but_ten_ms),
		cmocka_unit_test(test_stall_at_a_low_rate_keeps_one_packet),
		cmocka_unit_test(test_overload_ends_in_time),
		cmocka_unit_test(test_unpaced),
		cmocka_unit_test(test_on_and_off),
		cmocka_unit_test(test_on_and_off_for_a_time),
		cmocka_unit_test(test_a_year_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
