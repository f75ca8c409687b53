// A program that runs once: it reads its settings, does its work, and ends with an exit code.
#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "/etc/{{name}}/settings";
    FILE *settings = fopen(path, "r");
    if (settings == NULL) {
        fprintf(stderr, "read %s: %s\n", path, strerror(errno));
        return 2;
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
    printf("the sum of 1 to %llu is %llu\n", up_to, up_to * (up_to + 1) / 2);
    return 0;
}
