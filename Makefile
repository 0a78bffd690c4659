# `make TARGET` is `./x TARGET`, where everything is.
all: ; @./x build
%: FORCE ; @./x $@
FORCE: ;
Makefile: ;
.PHONY: all FORCE
