// WASI 0.1 in C: the twin of sample-apps/worker. Reads /etc/worker/settings, writes one report to /data/report.txt, exits 0;
// what is wrong with the settings is said on stderr, with exit code 2.
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int failed(const char *action, const char *path) {
    fprintf(stderr, "%s %s: %s\n", action, path, strerror(errno));
    return 2;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "/etc/worker/settings";
    FILE *settings = fopen(path, "r");
    if (settings == NULL) {
        return failed("read", path);
    }
    unsigned long long up_to = 0;
    int found = 0;
    for (char line[256]; fgets(line, sizeof line, settings) != NULL;) {
        found |= sscanf(line, "up-to=%llu", &up_to) == 1;
    }
    fclose(settings);
    if (!found) {
        fprintf(stderr, "%s: wants a line up-to=NUMBER\n", path);
        return 2;
    }
    unsigned long long total = up_to * (up_to + 1) / 2;
    FILE *report = fopen("/data/report.txt", "w");
    if (report == NULL || fprintf(report, "sum of 1 to %llu is %llu\n", up_to, total) < 0 || fclose(report) != 0) {
        return failed("write", "/data/report.txt");
    }
    printf("wrote /data/report.txt, sum %llu\n", total);
    return 0;
}
