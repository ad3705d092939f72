/* The load inside a lab guest: `worker MIB RATE CPU PORT`.
 *
 * - dirties MIB MiB of memory at RATE MiB/s, and before it writes a page it verifies what it wrote
 *   there the last time: a page lost or mixed up by a live migration counts as bad for ever;
 * - burns CPU percent of its vCPU;
 * - counts its rounds, in the same memory, so the counter can only go back if memory did;
 * - every 100 ms writes to the console (stdout):
 *     T <counter> <uptime ms> gap=<longest pause between two rounds, ms> bad=<pages> cpu=<percent> rate=<MiB/s> ;
 *   the closing ';' marks a line as whole;
 * - takes commands on UDP port PORT: "cpu N" and "rate N"; the answer is "ok cpu=N rate=N".
 *   Both settings live in guest memory, so a migration keeps them.
 *
 * Static, no libraries beyond libc; one thread, so the counter shows every stall of the vCPU.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES_PER_MIB = 1048576 / PAGE, WORDS = PAGE / 8 };
static const double SLICE_MS = 10;     /* one round: work, then sleep for the rest */
static const double MAX_DEBT_MS = 250; /* burning missed while the vCPU was starved is made up for, this far */

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

struct load {
    int cpu_percent;
    int rate_mib_s;
};

static int open_command_port(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = INADDR_ANY};
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    printf("LAB-NO-COMMANDS\n");
    return -1;
}

static void take_commands(int fd, struct load *load) {
    char text[64];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    ssize_t n;
    while (fd >= 0 && (n = recvfrom(fd, text, sizeof text - 1, MSG_DONTWAIT, (struct sockaddr *)&from, &len)) >= 0) {
        text[n] = 0;
        int value;
        if (sscanf(text, "cpu %d", &value) == 1 && value >= 0 && value <= 100) load->cpu_percent = value;
        if (sscanf(text, "rate %d", &value) == 1 && value >= 0) load->rate_mib_s = value;
        n = snprintf(text, sizeof text, "ok cpu=%d rate=%d\n", load->cpu_percent, load->rate_mib_s);
        sendto(fd, text, n, 0, (struct sockaddr *)&from, len);
        len = sizeof from;
    }
}

int main(int argc, char **argv) {
    size_t pages = (argc > 1 ? strtoul(argv[1], 0, 10) : 16) * PAGES_PER_MIB;
    struct load load = {.rate_mib_s = argc > 2 ? atoi(argv[2]) : 4, .cpu_percent = argc > 3 ? atoi(argv[3]) : 0};
    int port = open_command_port(argc > 4 ? atoi(argv[4]) : 7077);

    /* page p holds its round number in the first word and its own number in the last */
    uint64_t *memory = malloc(pages * PAGE + 1);
    uint64_t round = 0, counter = 0, bad = 0;
    size_t next_page = 0;
    for (size_t p = 0; p < pages; p++) {
        memory[p * WORDS] = 0;
        memory[p * WORDS + WORDS - 1] = p;
    }

    double start = now_ms(), previous = start, next_line = start, longest_gap = 0;
    double pages_due = 0, burn_due_ms = 0;
    for (;;) {
        double t = now_ms(), passed = t - previous;
        previous = t;
        if (passed > longest_gap) longest_gap = passed;
        take_commands(port, &load);

        pages_due += passed / 1e3 * load.rate_mib_s * PAGES_PER_MIB;
        if (pages_due > pages) pages_due = pages;
        for (; pages_due >= 1; pages_due -= 1) {
            uint64_t *page = memory + next_page * WORDS;
            if (page[0] != round || page[WORDS - 1] != next_page) bad++;
            page[0] = round + 1;
            page[WORDS - 1] = next_page;
            if (++next_page == pages) next_page = 0, round++;
        }

        burn_due_ms += passed * load.cpu_percent / 100.0;
        if (burn_due_ms > MAX_DEBT_MS) burn_due_ms = MAX_DEBT_MS;
        double burn_start = now_ms(), burn = burn_due_ms < 5 * SLICE_MS ? burn_due_ms : 5 * SLICE_MS, end = burn_start;
        volatile uint64_t x = 0;
        while (end - burn_start < burn) {
            for (int i = 0; i < 1000; i++) x += i;
            end = now_ms();
        }
        burn_due_ms -= end - burn_start;

        counter++;
        if (end >= next_line) {
            printf("T %llu %.0f gap=%.0f bad=%llu cpu=%d rate=%d ;\n", (unsigned long long)counter, end - start, longest_gap,
                   (unsigned long long)bad, load.cpu_percent, load.rate_mib_s);
            fflush(stdout);
            next_line = end + 100;
            longest_gap = 0;
        }
        double rest = SLICE_MS - (now_ms() - t);
        if (rest > 0.2) usleep(rest * 1000);
    }
}
