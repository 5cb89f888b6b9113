// SPDX-License-Identifier: MIT
/* egress_notes: one for an interface, whatever the number of its outputs; never too few. */
#include "worker/egress_notes.h"
#include "contract/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct egress_notes notes[OUTPUT_NUMBERS];

static int setup(void **state)
{
	(void)state;
	memset(notes, 0, sizeof(notes));
	return 0;
}

static void test_outputs_of_an_interface_share_them(void **state)
{
	struct egress_notes *one = egress_notes_get(notes, "eth0");

	(void)state;
	assert_string_equal(one->interface, "eth0");
	assert_int_equal(one->failed[CAUSE_ENETDOWN].lines, 1);
	assert_int_equal(one->failed[CAUSE_OTHER].seconds, 60);
	assert_int_equal(one->gso_refused.lines, 1);
	assert_ptr_equal(egress_notes_get(notes, "eth0"), one);
	assert_ptr_not_equal(egress_notes_get(notes, "eth1"), one);
}

/* What was said a moment ago is not said again of an output that has been opened anew. */
static void test_an_interface_that_comes_back(void **state)
{
	struct egress_notes *one = egress_notes_get(notes, "eth0");

	(void)state;
	one->failed[CAUSE_ENETDOWN].written = 1;
	egress_notes_put(one);
	egress_notes_put(NULL);
	assert_ptr_equal(egress_notes_get(notes, "eth0"), one);
	assert_int_equal(one->failed[CAUSE_ENETDOWN].written, 1);
	egress_notes_put(one);
	/* another one takes their place, and begins anew */
	assert_ptr_equal(egress_notes_get(notes, "eth1"), one);
	assert_int_equal(one->failed[CAUSE_ENETDOWN].written, 0);
}

static void test_an_interface_for_each_output(void **state)
{
	char name[24]; /* for two numbers, however big */

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < OUTPUT_NUMBERS; i++) {
			snprintf(name, sizeof(name), "%u-%u", round, i);
			assert_string_equal(egress_notes_get(notes, name)->interface, name);
		}
		for (unsigned i = 0; i < OUTPUT_NUMBERS; i++)
			egress_notes_put(&notes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_outputs_of_an_interface_share_them, setup),
		cmocka_unit_test_setup(test_an_interface_that_comes_back, setup),
		cmocka_unit_test_setup(test_an_interface_for_each_output, setup),
	};

	return cmocka_run_group_tests_name("egress_notes", tests, NULL, NULL);
}
