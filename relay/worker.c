// SPDX-License-Identifier: MIT
/*
 * worker: see worker.h. The loop is worker_run, at the end of this file; what comes before is
 * set-up, and what happens when interfaces come and go.
 *
 * Other threads talk to the loop through words that it looks at once per turn (relaxed loads), and
 * an eventfd that ends its sleep.
 */
#include "worker.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------- inputs and outputs */

static int input_open(struct worker *worker, struct worker_input *input)
{
	struct ingress *ingress = &input->ingress;
	const char *name = ingress->netif.name;
	int rc = ingress->ops->open(ingress, worker->config);

	if (rc < 0) {
		log_error("Ingress", "cannot receive on %s: %s%s", name, strerror(-rc),
			  rc == -EPERM ? "; run as root or with CAP_NET_RAW" : "");
		return rc;
	}
	for (unsigned i = 0; i < worker->rules->count; i++) {
		const struct endpoint *from = &worker->rules->rule[i].input;

		if (strcmp(from->interface, name) != 0)
			continue;
		rc = membership_join(&input->membership, ingress->netif.index, from->group);
		if (rc < 0) {
			log_error("Ingress", "cannot join the group of rule %s on %s: %s",
				  worker->rules->rule[i].id, name, strerror(-rc));
			return rc;
		}
	}
	if (!worker->config->exclusive)
		return 0;
	rc = exclusive_open(&input->exclusive, worker->rules, name, ingress->netif.index);
	if (rc < 0)
		log_error("Ingress",
			  "cannot take packets on %s with --exclusive: %s; it needs Linux 6.6 and "
			  "CAP_NET_ADMIN",
			  name, strerror(-rc));
	return rc;
}

static void input_close(struct worker_input *input)
{
	exclusive_close(&input->exclusive);
	membership_leave(&input->membership);
	input->ingress.ops->close(&input->ingress);
}

static int find_input(struct worker *worker, const char *interface)
{
	for (unsigned i = 0; i < worker->num_inputs; i++)
		if (strcmp(worker->inputs[i].ingress.netif.name, interface) == 0)
			return (int)i;
	return -1;
}

static int init_inputs(struct worker *worker)
{
	worker->inputs = calloc(worker->rules->count, sizeof(*worker->inputs));
	if (!worker->inputs)
		return -ENOMEM;
	for (unsigned i = 0; i < worker->rules->count; i++) {
		const char *interface = worker->rules->rule[i].input.interface;
		struct worker_input *input = &worker->inputs[worker->num_inputs];
		int rc;

		if (find_input(worker, interface) >= 0)
			continue;
		input->ingress.ops = &ingress_ring_ops;
		input->ingress.fd = -1;
		rc = netif_query(interface, &input->ingress.netif);
		worker->num_inputs++;
		if (rc < 0) {
			log_error("Ingress", "cannot use interface %s: %s", interface,
				  strerror(-rc));
			return rc;
		}
		rc = input_open(worker, input);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static struct output *find_output(struct worker *worker, const struct rule_output *key)
{
	for (unsigned i = 0; i < worker->num_outputs; i++) {
		const struct rule_output *other = &worker->outputs[i].key;

		if (other->to.group.s_addr == key->to.group.s_addr &&
		    other->to.port == key->to.port && other->ttl == key->ttl &&
		    strcmp(other->to.interface, key->to.interface) == 0)
			return &worker->outputs[i];
	}
	return NULL;
}

static const char *hint(int error)
{
	switch (error) {
	case EADDRNOTAVAIL:
		return "; give it an IPv4 address: ip addr add ADDRESS/LEN dev INTERFACE";
	case ENETUNREACH:
	case ENETDOWN:
		return "; set it up: ip link set INTERFACE up";
	default:
		return "";
	}
}

static int add_output(struct worker *worker, const struct rule_output *key)
{
	struct output *output = &worker->outputs[worker->num_outputs];
	int rc;

	output->key = *key;
	output->fd = -1;
	output->counters = &worker->output_counters[worker->num_outputs];
	rc = netif_query(key->to.interface, &output->netif);
	if (rc == 0)
		rc = output_open(output, worker->config);
	if (rc < 0) {
		log_error("Egress", "cannot send through %s: %s%s", key->to.interface,
			  strerror(-rc), hint(-rc));
		return rc;
	}
	worker->num_outputs++;
	return 0;
}

/* Opens each output once and points the routes at them. */
static int init_outputs(struct worker *worker)
{
	unsigned total = 0, next = 0;

	for (unsigned i = 0; i < worker->rules->count; i++)
		total += worker->rules->rule[i].num_outputs;
	worker->outputs = calloc(total + 1, sizeof(*worker->outputs));
	worker->output_counters = calloc(total + 1, sizeof(*worker->output_counters));
	worker->route_outputs = calloc(total + 1, sizeof(struct output *));
	if (!worker->outputs || !worker->output_counters || !worker->route_outputs)
		return -ENOMEM;
	for (unsigned i = 0; i < worker->rules->count; i++) {
		const struct rule *rule = &worker->rules->rule[i];

		worker->forwarder.routes[i] =
			(struct route){&worker->route_outputs[next], rule->num_outputs};
		for (unsigned j = 0; j < rule->num_outputs; j++) {
			struct output *output = find_output(worker, &rule->outputs[j]);
			int rc;

			if (!output) {
				rc = add_output(worker, &rule->outputs[j]);
				if (rc < 0)
					return rc;
				output = &worker->outputs[worker->num_outputs - 1];
			}
			worker->route_outputs[next++] = output;
		}
	}
	return 0;
}

static int init_forwarder(struct worker *worker)
{
	struct forwarder *forwarder = &worker->forwarder;
	int rc;

	worker->rule_counters = calloc(worker->rules->count, sizeof(*worker->rule_counters));
	forwarder->routes = calloc(worker->rules->count, sizeof(*forwarder->routes));
	forwarder->rule_counters = worker->rule_counters;
	forwarder->counters = &worker->counters;
	forwarder->egress = &worker->egress;
	if (!worker->rule_counters || !forwarder->routes)
		return -ENOMEM;
	rc = rule_table_init(&forwarder->table, worker->rules->count);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < worker->rules->count; i++) {
		const struct endpoint *from = &worker->rules->rule[i].input;
		int input = find_input(worker, from->interface);

		rule_table_insert(
			&forwarder->table,
			(struct rule_key){from->group.s_addr, from->port, (uint16_t)input},
			(int32_t)i);
	}
	return 0;
}

int worker_init(struct worker *worker, const struct config *config, const struct rules *rules)
{
	int rc = -ENOMEM;

	*worker = (struct worker){.config = config, .rules = rules, .wake_fd = -1, .answer_fd = -1};
	pthread_mutex_init(&worker->reopen_lock, NULL);
	worker->frames = calloc(config->send_batch, sizeof(*worker->frames));
	if (!worker->frames)
		goto fail;
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->answer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0 || worker->answer_fd < 0) {
		rc = -errno;
		log_error("Worker", "cannot make an eventfd: %s", strerror(-rc));
		goto fail;
	}
	rc = init_inputs(worker);
	if (rc == 0)
		rc = init_forwarder(worker);
	if (rc == 0)
		rc = init_outputs(worker);
	if (rc == 0)
		return 0;
fail:
	if (rc == -ENOMEM)
		log_error("Worker", "out of memory");
	worker_exit(worker);
	return rc;
}

void worker_exit(struct worker *worker)
{
	for (unsigned i = 0; i < worker->num_outputs; i++)
		output_close(&worker->outputs[i]);
	for (unsigned i = 0; i < worker->num_inputs; i++)
		input_close(&worker->inputs[i]);
	rule_table_exit(&worker->forwarder.table);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	if (worker->answer_fd >= 0)
		close(worker->answer_fd);
	free(worker->forwarder.routes);
	free(worker->route_outputs);
	free(worker->outputs);
	free(worker->inputs);
	free(worker->output_counters);
	free(worker->rule_counters);
	free(worker->frames);
	pthread_mutex_destroy(&worker->reopen_lock);
}

/* ------------------------------------------------------------------------- interfaces that change
 */

static void refresh_drops(struct worker *worker)
{
	for (unsigned i = 0; i < worker->num_inputs; i++) {
		struct ingress *ingress = &worker->inputs[i].ingress;

		counter_add(&worker->counters, COUNTER_buffer_exhaustion,
			    ingress->ops->take_drops(ingress));
	}
}

static void reopen_input(struct worker *worker, struct worker_input *input)
{
	struct netif now;

	netif_query(input->ingress.netif.name, &now);
	if (!netif_replaced(&input->ingress.netif, &now) && input->ingress.fd >= 0)
		return;
	refresh_drops(worker);
	input_close(input);
	input->ingress.netif = now;
	if (now.index)
		input_open(worker, input);
}

/* An output that could not be opened is tried again whenever something changes. */
static void reopen_output(struct worker *worker, struct output *output)
{
	struct netif now;

	netif_query(output->netif.name, &now);
	if (!netif_replaced(&output->netif, &now) && output->fd >= 0)
		return;
	output_close(output);
	output->netif = now;
	output_open(output, worker->config);
}

static void reopen_changed(struct worker *worker)
{
	pthread_mutex_lock(&worker->reopen_lock);
	for (unsigned i = 0; i < worker->num_inputs; i++)
		reopen_input(worker, &worker->inputs[i]);
	for (unsigned i = 0; i < worker->num_outputs; i++)
		reopen_output(worker, &worker->outputs[i]);
	pthread_mutex_unlock(&worker->reopen_lock);
}

/* ------------------------------------------------------------------------- talking to the loop */

static unsigned load(const unsigned *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void raise_event(int fd)
{
	const uint64_t one = 1;
	ssize_t ignored = write(fd, &one, sizeof(one)); /* fails only when it is raised already */

	(void)ignored;
}

static void lower_event(int fd)
{
	uint64_t count;
	ssize_t ignored = read(fd, &count, sizeof(count));

	(void)ignored;
}

static void request(struct worker *worker, unsigned *word)
{
	__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
	raise_event(worker->wake_fd);
}

static void set_state(struct worker *worker, int state)
{
	__atomic_store_n(&worker->state, state, __ATOMIC_RELEASE);
	raise_event(worker->answer_fd);
}

bool worker_has_ended(const struct worker *worker)
{
	return __atomic_load_n(&worker->state, __ATOMIC_ACQUIRE) == WORKER_ENDED;
}

void worker_acknowledge(struct worker *worker)
{
	lower_event(worker->answer_fd);
}

void worker_refresh(struct worker *worker)
{
	struct pollfd answer = {.fd = worker->answer_fd, .events = POLLIN};

	request(worker, &worker->refresh_wanted);
	while (load(&worker->refreshed) != worker->refresh_wanted && !worker_has_ended(worker)) {
		if (poll(&answer, 1, 1000) == 0)
			return;
		lower_event(worker->answer_fd);
	}
}

void worker_interfaces_changed(struct worker *worker)
{
	request(worker, &worker->interfaces_changed);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time) != 0)
		return 0;
	return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

uint64_t worker_cpu_ns(const struct worker *worker)
{
	clockid_t clock;

	if (worker_has_ended(worker))
		return worker->cpu_ns;
	return pthread_getcpuclockid(worker->thread, &clock) == 0 ? clock_ns(clock) : 0;
}

/* ------------------------------------------------------------------------- the loop */

static int answer_requests(struct worker *worker)
{
	unsigned wanted = load(&worker->refresh_wanted);
	unsigned changed = load(&worker->interfaces_changed);

	if (changed != worker->interfaces_seen) {
		int rc = waiter_reset(&worker->waiter);

		if (rc < 0)
			return rc;
		worker->interfaces_seen = changed;
		reopen_changed(worker);
	}
	if (wanted != worker->refreshed) {
		refresh_drops(worker);
		__atomic_store_n(&worker->refreshed, wanted, __ATOMIC_RELEASE);
		raise_event(worker->answer_fd);
	}
	return 0;
}

/* One burst of one interface, from ring to wire. Returns how many frames it had. */
static unsigned turn(struct worker *worker, unsigned index)
{
	struct ingress *ingress = &worker->inputs[index].ingress;
	unsigned count = ingress->fd < 0 ? 0
					 : ingress->ops->peek(ingress, worker->frames,
							      (unsigned)worker->config->send_batch);

	if (count == 0)
		return 0;
	forward_burst(&worker->forwarder, (uint16_t)index, worker->frames, count);
	egress_flush(&worker->egress);
	ingress->ops->release(ingress, count);
	return count;
}

static unsigned turn_all(struct worker *worker)
{
	unsigned count = 0;

	for (unsigned i = 0; i < worker->num_inputs; i++)
		count += turn(worker, i);
	return count;
}

/* Sleeps until an interface has frames, or somebody calls. */
static int wait_for_work(struct worker *worker)
{
	struct waiter *waiter = &worker->waiter;
	const unsigned wake = worker->num_inputs;
	int rc;

	for (unsigned i = 0; i < worker->num_inputs; i++)
		waiter->fds[i] = worker->inputs[i].ingress.fd;
	waiter->fds[wake] = worker->wake_fd;
	rc = waiter_sleep(waiter, &worker->counters);
	for (unsigned i = 0; i < worker->num_inputs && rc == 0; i++) {
		int error;
		socklen_t size = sizeof(error);

		/* the interface went down or away; asking for the error clears it, and the
		 * monitor in main() tells what to do about it */
		if (waiter->events[i] & POLLERR)
			getsockopt(waiter->fds[i], SOL_SOCKET, SO_ERROR, &error, &size);
	}
	if (rc == 0 && waiter->events[wake])
		lower_event(worker->wake_fd);
	return rc;
}

static void drain(struct worker *worker)
{
	for (unsigned i = 0; i < worker->num_inputs; i++)
		worker->inputs[i].ingress.ops->quiesce(&worker->inputs[i].ingress);
	while (turn_all(worker) > 0 && worker->egress.error == 0)
		;
	refresh_drops(worker);
}

static int run_loop(struct worker *worker)
{
	int rc = 0;

	while (!load(&worker->stop) && rc == 0 && worker->egress.error == 0) {
		rc = answer_requests(worker);
		if (rc == 0 && turn_all(worker) == 0)
			rc = wait_for_work(worker);
	}
	drain(worker);
	return rc < 0 ? rc : worker->egress.error;
}

static int init_loop(struct worker *worker)
{
	int rc = egress_init(&worker->egress, worker->config, &worker->counters);

	if (rc == 0)
		rc = waiter_init(&worker->waiter, worker->num_inputs + 1);
	if (rc < 0)
		log_error("Worker", "cannot set up io_uring with %llu entries: %s%s",
			  (unsigned long long)worker->config->queue_depth, strerror(-rc),
			  rc == -EPERM ? "; see sysctl kernel.io_uring_disabled" : "");
	return rc;
}

static void *worker_run(void *argument)
{
	struct worker *worker = argument;
	int rc = init_loop(worker);

	if (rc == 0) {
		set_state(worker, WORKER_RUNNING);
		rc = run_loop(worker);
		if (rc < 0)
			log_error("Worker", "io_uring failed: %s", strerror(-rc));
	}
	waiter_exit(&worker->waiter);
	egress_exit(&worker->egress);
	worker->result = rc;
	worker->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	set_state(worker, WORKER_ENDED);
	return NULL;
}

int worker_start(struct worker *worker)
{
	struct pollfd answer = {.fd = worker->answer_fd, .events = POLLIN};
	int rc = -pthread_create(&worker->thread, NULL, worker_run, worker);

	if (rc < 0) {
		log_error("Worker", "cannot start a thread: %s", strerror(-rc));
		return rc;
	}
	poll(&answer, 1, -1);
	lower_event(worker->answer_fd);
	if (!worker_has_ended(worker))
		return 0;
	pthread_join(worker->thread, NULL);
	return worker->result;
}

int worker_stop(struct worker *worker)
{
	request(worker, &worker->stop);
	pthread_join(worker->thread, NULL);
	return worker->result;
}
