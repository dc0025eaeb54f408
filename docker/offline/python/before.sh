#!/bin/sh
# Runs before the packages are installed: nothing to prepare here.
set -eu
