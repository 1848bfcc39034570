/* How long libkdumpfile takes to read given places of a dump.
 *
 * libkdumpfile_read DUMP SPACE THREADS WARM LIST: SPACE is p for physical and v for kernel virtual
 * addresses, WARM is 1 when the list is read once before the clock starts, LIST holds pairs of
 * 64-bit numbers: address and bytes. Prints wall seconds, processor seconds, a checksum, and the
 * number of reads that failed. */

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libkdumpfile/kdumpfile.h>

struct place {
	uint64_t at, len;
};

struct work {
	kdump_ctx_t *ctx;
	kdump_addrspace_t space;
	const struct place *places;
	size_t count;
	uint64_t sum, failed;
};

static unsigned char buffers[64][1 << 20];

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void run(struct work *work, unsigned char *buffer)
{
	for (size_t i = 0; i < work->count; ++i) {
		size_t len = work->places[i].len;
		uint64_t word;

		if (kdump_read(work->ctx, work->space, work->places[i].at, buffer, &len) != KDUMP_OK) {
			kdump_clear_err(work->ctx);
			++work->failed;
			continue;
		}
		memcpy(&word, buffer, sizeof(word));
		work->sum += word;
	}
}

static struct work works[64];

static void *thread(void *number)
{
	run(&works[(size_t)number], buffers[(size_t)number]);
	return NULL;
}

static int fail(kdump_ctx_t *ctx, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, kdump_get_err(ctx));
	return 1;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	struct place *places;
	uint64_t sum = 0, failed = 0;
	size_t count, done = 0;
	kdump_ctx_t *ctx;
	double wall, processor;
	FILE *list;
	long size;
	int fd, parts, warm;

	if (argc != 6)
		return 2;
	parts = atoi(argv[3]);
	warm = atoi(argv[4]);
	fd = open(argv[1], O_RDONLY);
	list = fopen(argv[5], "rb");
	if (fd < 0 || !list || parts < 1 || parts > 64)
		return 2;
	fseek(list, 0, SEEK_END);
	size = ftell(list);
	rewind(list);
	places = malloc((size_t)size);
	count = (size_t)size / sizeof(*places);
	if (!places || fread(places, sizeof(*places), count, list) != count)
		return 1;
	ctx = kdump_new();
	if (!ctx)
		return 1;
	if (kdump_open_fd(ctx, fd) != KDUMP_OK)
		return fail(ctx, "kdump_open_fd");
	if (kdump_set_string_attr(ctx, "addrxlat.ostype", "linux") != KDUMP_OK)
		return fail(ctx, "addrxlat.ostype");
	for (int i = 0; i < parts; ++i) {
		size_t end = count * ((size_t)i + 1) / (size_t)parts;

		works[i].ctx = i ? kdump_clone(ctx, 0) : ctx;
		if (!works[i].ctx)
			return 1;
		works[i].space = *argv[2] == 'v' ? KDUMP_KVADDR : KDUMP_MACHPHYSADDR;
		works[i].places = places + done;
		works[i].count = end - done;
		done = end;
		if (warm)
			run(&works[i], buffers[i]);
		works[i].sum = works[i].failed = 0;
	}
	wall = now(CLOCK_MONOTONIC);
	processor = now(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 1; i < (size_t)parts; ++i)
		if (pthread_create(&threads[i], NULL, thread, (void *)i))
			return 1;
	thread(NULL);
	for (int i = 1; i < parts; ++i)
		pthread_join(threads[i], NULL);
	wall = now(CLOCK_MONOTONIC) - wall;
	processor = now(CLOCK_PROCESS_CPUTIME_ID) - processor;
	for (int i = 0; i < parts; ++i) {
		sum += works[i].sum;
		failed += works[i].failed;
	}
	printf("%.9f %.9f %016" PRIx64 " %" PRIu64 "\n", wall, processor, sum, failed);
	return 0;
}
