# Everything here is plain go; the targets are for typing less.

.PHONY: all build test race lint bench promises

all: lint test

build:
	go build -o bin/kbench ./cmd/kbench

# All tests. Those that need real brokers say loudly that they were not run where Java is missing;
# with CI=true or KBENCH_REQUIRE=local that is a failure.
test:
	go test -timeout 30m ./...

race:
	go test -race -timeout 45m ./...

lint:
	test -z "$$(gofmt -l .)"
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench:
	go test -run '^$$' -bench . -benchmem ./...

# Every promise and its twin, 20 times each, on real brokers.
promises: build
	bin/kbench run --cluster local --repeat 20 --out kbench-runs/promises $$(bin/kbench scenarios list --json | awk -F'"' '$$2=="name"{name=$$4} $$2=="guarantee" && $$4!=""{print name}')
