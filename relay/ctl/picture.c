// SPDX-License-Identifier: MIT
/*
 * picture: see picture.h. A row has a name, under which its counts are found again in the next
 * picture, whatever has come or gone in between.
 */
#include "ctl/picture.h"
#include "common/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct drawing {
	struct picture *picture;
	json_t *counts; /* of this report */
	FILE *out;
};

static json_int_t integer_at(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

/* ------------------------------------------------------------------------- rows */

/* Per second; false: not known, or it began anew. */
static bool rate(const struct drawing *drawing, const json_t *before, size_t which, json_int_t now,
		 double *result)
{
	const json_int_t then = json_integer_value(json_array_get(before, which));

	if (drawing->picture->seconds <= 0 || !before || now < then)
		return false;
	*result = (double)(now - then) / drawing->picture->seconds;
	return true;
}

/* A name, packets per second, Mbit/s, packets so far. bytes -1: there is no such number. `key`
 * finds the row again in the next picture. */
static void keyed_row(struct drawing *drawing, const char *key, const char *name,
		      json_int_t packets, json_int_t bytes)
{
	const json_t *before = json_object_get(drawing->picture->counts, key);
	char per_second[32] = "-", megabits[32] = "-";
	double value;

	if (rate(drawing, before, 0, packets, &value))
		snprintf(per_second, sizeof(per_second), "%.0f", value);
	if (bytes >= 0 && rate(drawing, before, 1, bytes, &value))
		snprintf(megabits, sizeof(megabits), "%.2f", 8 * value / 1e6);
	fprintf(drawing->out, "%-44s %12s %10s %16" JSON_INTEGER_FORMAT "\n", name, per_second,
		bytes < 0 ? "" : megabits, packets);
	json_object_set_new(drawing->counts, key, json_pack("[I, I]", packets, bytes));
}

static void row(struct drawing *drawing, const char *name, json_int_t packets, json_int_t bytes)
{
	keyed_row(drawing, name, name, packets, bytes);
}

/* ------------------------------------------------------------------------- parts */

static bool has_state(const json_t *rule, const char *word)
{
	const char *state = json_string_value(json_object_get(rule, "state"));

	return state && strcmp(state, word) == 0;
}

static unsigned count_state(const json_t *rules, const char *word)
{
	unsigned count = 0;
	const json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		count += has_state(rule, word);
	}
	return count;
}

static void draw_head(struct drawing *drawing, const char *socket_path, const json_t *report)
{
	const json_t *rules = json_object_get(report, "rules");

	fprintf(drawing->out, "mcrelay, process %" JSON_INTEGER_FORMAT ", %s, %s\n",
		integer_at(report, "pid"), socket_path, text_at(report, "utc"));
	fprintf(drawing->out, "%zu rules, %u waiting, %u stopped; %zu outputs, %zu workers\n\n",
		json_array_size(rules), count_state(rules, "waiting"),
		count_state(rules, "stopped"), json_array_size(json_object_get(report, "outputs")),
		json_array_size(json_object_get(report, "workers")));
	fprintf(drawing->out, "%-44s %12s %10s %16s\n", "", "packets/s", "Mbit/s", "packets");
}

static void draw_totals(struct drawing *drawing, const json_t *report)
{
	const json_t *total = json_object_get(report, "total");

	row(drawing, "received", integer_at(total, "recv_packets"),
	    integer_at(total, "recv_bytes"));
	row(drawing, "matched", integer_at(total, "matched"), -1);
	row(drawing, "sent", integer_at(total, "egress_sent"), integer_at(total, "egress_bytes"));
}

/* Those that have happened. */
static void draw_drops(struct drawing *drawing, const json_t *report)
{
	json_t *drops = json_object_get(report, "drops"), *value;
	const char *name;
	bool any = false;

	json_object_foreach (drops, name, value) {
		if (json_integer_value(value) == 0)
			continue;
		row(drawing, name, json_integer_value(value), -1);
		any = true;
	}
	if (!any)
		fputs("no drops\n", drawing->out);
}

/* What an output is, without what has been counted: two may differ in no more than the TTL. To be
 * freed. */
static char *output_key(const json_t *output)
{
	static const char *const counted[] = {"sent", "sent_bytes", "rate", "errors"};
	json_t *copy = json_copy((json_t *)output);
	char *key;

	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		json_object_del(copy, counted[i]);
	key = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	return key;
}

static void draw_errors(struct drawing *drawing, const char *key, json_t *errors)
{
	const char *cause;
	json_t *value;

	json_object_foreach (errors, cause, value) {
		char name[64], *cause_key = NULL;

		if (json_integer_value(value) == 0 || asprintf(&cause_key, "%s %s", key, cause) < 0)
			continue;
		snprintf(name, sizeof(name), "    failed: %s", cause);
		keyed_row(drawing, cause_key, name, json_integer_value(value), -1);
		free(cause_key);
	}
}

static void draw_output(struct drawing *drawing, const json_t *output)
{
	char *key = output_key(output), name[256];

	if (!key)
		return;
	snprintf(name, sizeof(name), "  to %s:%" JSON_INTEGER_FORMAT " on %s",
		 text_at(output, "group"), integer_at(output, "port"),
		 text_at(output, "interface"));
	keyed_row(drawing, key, name, integer_at(output, "sent"), integer_at(output, "sent_bytes"));
	draw_errors(drawing, key, json_object_get(output, "errors"));
	free(key);
}

static void draw_rule(struct drawing *drawing, const json_t *rule, const json_t *all_outputs)
{
	const json_t *input = json_object_get(rule, "input"),
		     *outputs = json_object_get(rule, "outputs"), *place;
	char name[256];
	size_t i;

	snprintf(name, sizeof(name), "%s: %s:%" JSON_INTEGER_FORMAT " on %s", text_at(rule, "id"),
		 text_at(input, "group"), integer_at(input, "port"), text_at(input, "interface"));
	row(drawing, name, integer_at(rule, "matched"), integer_at(rule, "matched_bytes"));
	if (has_state(rule, "waiting") || has_state(rule, "stopped"))
		fprintf(drawing->out, "  %s: %s\n", text_at(rule, "state"),
			text_at(rule, "reason"));
	json_array_foreach (outputs, i, place) {
		draw_output(drawing,
			    json_array_get(all_outputs, (size_t)json_integer_value(place)));
	}
}

/* ------------------------------------------------------------------------- the whole */

/* Another relay counts from zero. */
static void begin(struct picture *picture, const json_t *report)
{
	const uint64_t now = (uint64_t)integer_at(report, "time_ns");
	const json_int_t pid = integer_at(report, "pid");
	const bool same = picture->time_ns && pid == picture->pid && now > picture->time_ns;

	picture->seconds = same ? (double)(now - picture->time_ns) / 1e9 : 0;
	picture->time_ns = now;
	picture->pid = pid;
}

char *picture_draw(struct picture *picture, const char *socket_path, const json_t *report)
{
	const json_t *outputs = json_object_get(report, "outputs"),
		     *rules = json_object_get(report, "rules"), *rule;
	struct drawing drawing = {.picture = picture, .counts = json_object()};
	char *text = NULL;
	size_t size, i;

	drawing.out = open_memstream(&text, &size);
	if (!drawing.out || !drawing.counts)
		goto out;
	begin(picture, report);
	draw_head(&drawing, socket_path, report);
	draw_totals(&drawing, report);
	draw_drops(&drawing, report);
	fputc('\n', drawing.out);
	json_array_foreach (rules, i, rule) {
		draw_rule(&drawing, rule, outputs);
	}
	json_decref(picture->counts);
	picture->counts = json_incref(drawing.counts);
out:
	json_decref(drawing.counts);
	if (drawing.out && fclose(drawing.out) != 0) {
		free(text);
		return NULL;
	}
	if (text)
		printable_make_lines(text);
	return text;
}

bool picture_is_first(const struct picture *picture)
{
	return picture->time_ns == 0;
}

void picture_exit(struct picture *picture)
{
	json_decref(picture->counts);
	*picture = (struct picture){0};
}
