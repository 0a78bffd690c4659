/*
 * Cli: the command line as a whole.
 *
 * Thread: main.
 */
#ifndef TH_CLI_CLI_H
#define TH_CLI_CLI_H

/* Do what the words say: the exit code. */
int th_cli(int argc, char **argv);

#endif
