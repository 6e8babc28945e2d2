# The checks, by short names: each is a step of .ci/run, which says what it does.

# All that CI runs
check:
    .ci/run

# The README's test command
test *args:
    .ci/run test {{ args }}

# Formatting
fmt:
    .ci/run fmt

# Clippy, warnings denied
lint:
    .ci/run lint
    .ci/run guests-lint

# Licences, advisories, sources of the dependencies
deny:
    .ci/run deny

# Rebuilds guests/dist/
guests:
    .ci/run guests

# Is guests/dist/ what the sources give?
guests-check:
    .ci/run guests-check

# The SDK's tests
sdk:
    .ci/run sdk

# Writes the golden files anew
bless *args:
    .ci/run bless {{ args }}

# The benchmarks
bench *args:
    .ci/run bench {{ args }}

# Does the release build do what the debug build does?
release:
    .ci/run release

# Builds the Collector, and sends a run through it
collector:
    .ci/run collector

# Is docker-compose.yml well-formed?
compose:
    .ci/run compose

# The crate's documentation, warnings denied
doc *args:
    .ci/run doc {{ args }}

# The house rules alone
tidy:
    .ci/run tidy

# The crates as they are published
package:
    .ci/run package

# The Python wheel, built and tried
wheel *args:
    .ci/run wheel {{ args }}

# The book, into target/book
book:
    .ci/run book

# Are GitHub's files well-formed?
workflows:
    .ci/run workflows

# The archive of a release, of this machine's system
archive *args:
    .ci/run archive {{ args }}

# What the program is made of, as CycloneDX
sbom:
    .ci/run sbom

# A draft of a release on GitHub
draft tag:
    .ci/run draft {{ tag }}
