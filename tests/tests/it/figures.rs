//! The names of figures that are read by others: reports of fault runs and of the bench. Those of the
//! simulator are tested with it.

use capstan_tests::bench::{Figures, Measured, Round};
use capstan_tests::faults::Totals;
use serde_json::Value;

fn has(document: &Value, names: &[&str]) {
    for name in names {
        assert!(document[name].is_number(), "{name} is no number in {document:#}");
    }
}

#[test]
fn a_report_of_fault_runs_has_the_names_that_others_read() {
    let document = serde_json::to_value(Totals::default()).unwrap();
    has(&document, &["runs", "lost", "double", "stuck", "recovered_max_blocks", "idle_max_blocks"]);
    has(&document, &["settlements", "settle_transactions", "batches", "self_batches"]);
}

#[test]
fn a_report_of_the_bench_has_the_names_that_others_read() {
    let measured = |per_second, transactions| Measured { per_second, cpu_ms: 2.0, transactions };
    let round = Round {
        naive: 0.5,
        pipelined: 40.0,
        single: measured(50.0, 100),
        batched: measured(500.0, 20),
        restart_ms: 900.0,
    };
    let document = serde_json::to_value(Figures::of(&[round], 1000)).unwrap();
    has(&document, &["single_per_s", "batched_per_s", "naive_per_s", "pipelined_per_s"]);
    has(&document, &["single_over_naive", "single_over_pipelined", "restart_100k_ms"]);
    has(&document, &["engine_cpu_ms_per_settlement"]);
    assert_eq!(document["single_over_naive"], 100.0);
    assert_eq!(document["single_over_pipelined"], 1.25);
    assert_eq!(document["settlements_per_batch"], 50.0);
}
