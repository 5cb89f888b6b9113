// SPDX-License-Identifier: MIT
/*
 * trafficgen calibrate: how fast this machine enters the kernel and copies memory, which is what
 * relays live on and what a CPU's name does not tell. Both are measured in turn, slice by slice:
 * the fastest slice is the machine, the median one is the machine beside its neighbours.
 */
#include "calibration.h"
#include "common/clock.h"
#include "common/json_file.h"
#include "common/options.h"
#include "common/version.h"
#include "run.h"
#include "trafficgen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICES	    200
#define COPY_BYTES  (64u << 20) /* more than a core's own caches hold */
#define PIECE_BYTES (1u << 20)	/* between two looks at the clock: 100 us or so */
#define CALLS	    256		/* the same: 50 us or so */

struct calibrate_settings {
	uint64_t duration_ms;
	const char *json;
};

/* clang-format off */
static const struct option_def calibrate_options[] = {
	{OPTION_SECONDS, "duration", "SECONDS", .min = 1, .max = 60000, .preset = "2",
	 .offset = offsetof(struct calibrate_settings, duration_ms),
	 .help = "how long it takes, both figures together"},
	{OPTION_STRING, "json", "FILE", .offset = offsetof(struct calibrate_settings, json),
	 .help = "write the figures to FILE as JSON, whole or not at all"},
	{OPTION_END}
};
/* clang-format on */

static const struct program program = {
	.name = "trafficgen calibrate",
	.usage = "[OPTION]...",
	.purpose = "Measures how fast this machine makes system calls and copies memory.",
	.closing = "Exit status: 0 done; 1 failed; 64 usage.\n",
	.options = calibrate_options,
};

/* ns per call of a system call that does nothing. */
static double system_call_ns(uint64_t slice_ns)
{
	uint64_t start = now_ns(), calls = 0, took;

	do {
		for (unsigned i = 0; i < CALLS; i++)
			syscall(SYS_getppid);
		calls += CALLS;
		took = now_ns() - start;
	} while (took < slice_ns);
	return (double)took / (double)calls;
}

/* Bytes per ns, which is GB/s. */
static double copy_rate(uint8_t *to, const uint8_t *from, uint64_t slice_ns)
{
	uint64_t start = now_ns(), bytes = 0, took;

	do {
		size_t at = bytes % COPY_BYTES;

		memcpy(to + at, from + at, PIECE_BYTES);
		__asm__ volatile("" ::"r"(to) : "memory"); /* it is needed, compiler */
		bytes += PIECE_BYTES;
		took = now_ns() - start;
	} while (took < slice_ns);
	return (double)bytes / (double)took;
}

static int calibrate(struct calibration *found, uint64_t slice_ns)
{
	double calls[SLICES], copies[SLICES];
	uint8_t *memory = malloc(2 * (size_t)COPY_BYTES);

	if (!memory)
		return -ENOMEM;
	memset(memory, 1, 2 * (size_t)COPY_BYTES); /* its pages are there before the clock runs */
	for (unsigned i = 0; i < SLICES; i++) {
		calls[i] = system_call_ns(slice_ns);
		copies[i] = copy_rate(memory, memory + COPY_BYTES, slice_ns);
	}
	free(memory);
	*found = calibration_of(calls, copies, SLICES);
	return 0;
}

static json_t *calibration_to_json(const struct calibration *found)
{
	/* clang-format off */
	return json_pack("{s:i, s:s, s:s, s:s, s:{s:f, s:f}, s:{s:f, s:f}}",
		"schema", 1,
		"program", "trafficgen",
		"mode", "calibrate",
		"version", MCRELAY_VERSION,
		"system_call_ns",
			"best", found->call_ns_best,
			"median", found->call_ns_median,
		"memory_copy_gb_per_s",
			"best", found->copy_best,
			"median", found->copy_median);
	/* clang-format on */
}

static int report(const struct calibration *found, const char *path)
{
	json_t *figures = path ? calibration_to_json(found) : NULL;
	int rc = path ? json_file_write(path, figures) : 0;

	json_decref(figures);
	if (rc < 0) {
		fprintf(stderr, "trafficgen calibrate: cannot write %s: %s\n", path,
			json_file_reason(rc));
		return EXIT_FAILURE;
	}
	printf("System call: %.0f ns at best, %.0f ns median\n", found->call_ns_best,
	       found->call_ns_median);
	printf("Memory copy: %.1f GB/s at best, %.1f GB/s median\n", found->copy_best,
	       found->copy_median);
	return EXIT_SUCCESS;
}

int calibrate_main(int argc, char **argv)
{
	struct calibrate_settings settings;
	struct calibration found;
	int rc = options_parse(&program, argc, argv, &settings);

	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	rc = settings.json ? json_file_check(settings.json) : 0;
	if (rc < 0) {
		fprintf(stderr, "trafficgen calibrate: cannot write %s: %s\n", settings.json,
			json_file_reason(rc));
		return EXIT_FAILURE;
	}
	if (calibrate(&found, settings.duration_ms * NS_PER_MS / (2 * SLICES)) < 0) {
		fprintf(stderr, "trafficgen calibrate: out of memory for two buffers of %u MiB\n",
			COPY_BYTES >> 20);
		return EXIT_FAILURE;
	}
	return report(&found, settings.json);
}
