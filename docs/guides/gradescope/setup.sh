#!/usr/bin/env bash
# Builds the image of the autograder: Gradescope runs it once, as root. The program is beside it in the archive.
set -euo pipefail

source=/autograder/source
install -m 755 "$source/simhost" /usr/local/bin/simhost
command -v python3 > /dev/null || apt-get install -y python3

# Refuses a lab that is not there, and compiles the guests of the lab into the image's cache.
trial=$(mktemp -d)/lab
lab=$(cat "$source/lab.txt")
if [[ -d $source/$lab ]]; then lab=$source/$lab; fi
simhost lab start "$lab" --into "$trial"
simhost lab check "$trial" --seeds 1 > /dev/null || test $? -eq 1
