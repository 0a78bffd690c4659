/*
 * The version of this program, as the build says it.
 */
#ifndef TH_NODE_VERSION_H
#define TH_NODE_VERSION_H

#ifndef TH_VERSION
#define TH_VERSION "0.1.0"
#endif

#endif
