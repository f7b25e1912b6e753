/* SPDX-License-Identifier: MIT
 * From the configuration's services to connectors that know how to ask them. */
#ifndef SALVOR_CLI_SERVICES_H
#define SALVOR_CLI_SERVICES_H

#include "cli/config.h"
#include "connectors/connectors.h"

/* Loads profiles, adds every service, and puts their facts into config->policy. False: each
 * problem is a line of config->problems, in the order of the file, and `*out` is NULL. The caller
 * destroys the connectors; they are not started. */
__attribute__((warn_unused_result)) bool services_open(struct config *config,
                                                       struct connectors **out);
/* The facts alone, for whoever asks no service: secrets and certificates need not be here. */
__attribute__((warn_unused_result)) bool services_load_facts(struct config *config);

#endif
