# Two commands for newcomers: make demo, make test. Both set themselves up.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

.PHONY: demo test check lock clean

demo: $(VENV)/ready
	@$(BIN)/python scripts/demo

test: $(VENV)/ready
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: $(VENV)/ready
	@scripts/check

$(VENV)/ready: requirements.lock pyproject.toml scripts/setup
	@scripts/setup $(PYTHON) $(VENV)
	@touch $@

# Refresh the lock after changing the dependencies in pyproject.toml; needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --extra kubectl --extra test --extra dev --upgrade \
	  pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV)
