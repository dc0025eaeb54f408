"""The tests mirror `app/`; `harness` is the kit they stand on."""
