//! The loop against the one written by hand, and its parts.

use gradus_autograd::{Tensor, Var, no_grad, seeded};
use gradus_nn::{
    AdamW, Dropout, Linear, Module, Optimizer, ReduceLrOnPlateau, Sequential, State, clip_grad_norm, schedule,
};
use gradus_train::metrics::{Mean, Metric, Mse};
use gradus_train::{CsvLog, End, Fit, Interrupt, JsonlLog, MeanGradients, predict};
use proptest::prelude::*;

use crate::Folder;
use crate::runs::{ROWS, batches, loss, model_bits, start};

fn test_error(model: &Sequential, x: &gradus_autograd::Tensor, y: &gradus_autograd::Tensor) -> f64 {
    let mut mse = Mse::new();
    mse.update(model.forward(x), y);
    mse.value()
}

#[test]
fn the_loop_gives_the_bits_of_the_one_written_by_hand() {
    const EPOCHS: usize = 5;
    let (mut model, mut adam, x, y) = start();
    let schedule = schedule::cosine(EPOCHS, 0.0);
    let mut rows = Vec::new();
    for epoch in 0..EPOCHS {
        adam.follow(&schedule, epoch);
        let mut mean = Mean::new();
        for rows in batches(epoch + 1) {
            let (loss, samples) = loss(&model, &x, &y, &rows);
            let mut gradients = loss.backward();
            mean.update(gradients.loss(), samples);
            clip_grad_norm(&mut gradients, &model, 0.5);
            adam.step(&mut model, &gradients);
        }
        let error = model.evaluate(|model| no_grad(|| test_error(model, &x, &y)));
        rows.push((epoch + 1, vec![("loss", mean.value()), ("lr", adam.lr()), ("mse", error)]));
    }

    let (mut again, mut adam, x, y) = start();
    let fitted = Fit::new(EPOCHS)
        .schedule(schedule)
        .clip_norm(0.5)
        .validate(|model| vec![("mse", test_error(model, &x, &y))])
        .run(&mut again, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows))
        .unwrap();
    assert_eq!(model_bits(&again), model_bits(&model));
    assert_eq!((fitted.rows, fitted.end), (rows, End::Done));
}

#[test]
fn accumulated_batches_and_schedules_by_step_give_the_bits_of_the_loop_by_hand() {
    let (mut model, mut adam, x, y) = start();
    let schedule = |step: usize, initial: f64| initial / (step + 1) as f64;
    let mut step = 0;
    for epoch in 1..=3 {
        for group in batches(epoch).chunks(3) {
            let mut mean = MeanGradients::new();
            for rows in group {
                let (loss, samples) = loss(&model, &x, &y, rows);
                mean.add(loss.backward(), samples);
            }
            adam.follow(&schedule, step);
            adam.step(&mut model, &mean.take().unwrap());
            step += 1;
        }
    }
    let (mut again, mut adam, x, y) = start();
    let fit = Fit::new(3).accumulate(3).schedule_by_step(schedule);
    fit.run(&mut again, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows)).unwrap();
    assert_eq!(model_bits(&again), model_bits(&model));
}

/// The bits of a model, the log and the best model of a run that is interrupted after some batches, and goes on.
fn run_interrupted(
    folder: &Folder,
    after: &[usize],
    accumulate: usize,
) -> (End, impl PartialEq + std::fmt::Debug) {
    let [checkpoint, best, csv, jsonl] =
        ["run.safetensors", "best.safetensors", "log.csv", "log.jsonl"].map(|name| folder.file(name));
    for file in [&checkpoint, &best] {
        let _ = std::fs::remove_file(file);
    }
    let mut runs = after.iter().copied().chain([usize::MAX]);
    loop {
        let (mut model, mut adam, x, y) = start();
        let (interrupt, mut left) = (Interrupt::new(), runs.next().unwrap());
        let fit = Fit::new(8)
            .accumulate(accumulate)
            .validate(|model| {
                let error = test_error(model, &x, &y);
                // It rises and falls, so that patience is lost and won.
                vec![("mse", error), ("wild", (error * 1e4).sin())]
            })
            .watch_min("wild")
            .patience(3)
            .best(&best)
            .checkpoint(&checkpoint)
            .log(CsvLog::new(&csv))
            .log(JsonlLog::new(&jsonl))
            .interrupt(&interrupt);
        let fit = match accumulate {
            1 => fit.schedule(schedule::exponential(0.9)),
            2 => fit.schedule_by_step(schedule::exponential(0.9)),
            _ => fit.plateau(ReduceLrOnPlateau::min().patience(1).factor(0.5)),
        };
        let fitted = fit.run(&mut model, &mut adam, batches, |model, rows| {
            left = left.saturating_sub(1);
            if left == 0 {
                interrupt.request();
            }
            loss(model, &x, &y, &rows)
        });
        let end = fitted.unwrap().end;
        if end != End::Interrupted {
            let texts = [csv, jsonl].map(|path| std::fs::read_to_string(path).unwrap());
            let best = State::read(best).unwrap();
            return (end, (model_bits(&model), adam.lr().to_bits(), texts, best));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_interrupted_run_goes_on_to_the_same_bits(after in prop::collection::vec(1_usize..16, 1..6), accumulate in 1_usize..4) {
        let folder = Folder::new("resume");
        let whole = run_interrupted(&folder, &[], accumulate);
        let parts = run_interrupted(&folder, &after, accumulate);
        prop_assert!(whole.0 == parts.0 && whole.1 == parts.1, "{:?}\n{:?}", whole.1, parts.1);
    }
}

#[test]
fn the_patience_ends_the_run_and_the_best_model_is_kept() {
    let folder = Folder::new("patience");
    let path = folder.file("best.safetensors");
    let (mut model, mut adam, x, y) = start();
    let mut scores = [0.5, 0.8, f64::NAN, 0.8, 0.7, 0.9].into_iter();
    let mut states = Vec::new();
    let fitted = Fit::new(6)
        .validate(|model: &Sequential| {
            assert!(!model.is_training());
            states.push(model.state());
            vec![("score", scores.next().unwrap())]
        })
        .watch_max("score")
        .patience(3)
        .best(&path)
        .run(&mut model, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows))
        .unwrap();
    assert_eq!((fitted.end, fitted.values("score").len()), (End::Stopped, 5));
    assert_eq!(fitted.curve("score")[1], (2.0, 0.8));
    let best = State::read(&path).unwrap();
    assert_eq!((best.metadata()["epoch"].as_str(), best.metadata()["metric"].as_str()), ("2", "0.8"));
    model.load(&path).unwrap();
    assert_eq!(model.state(), states[1]);
}

#[test]
fn a_finished_run_that_is_resumed_makes_no_step() {
    let folder = Folder::new("finished");
    let path = folder.file("run.safetensors");
    let (mut model, mut adam, x, y) = start();
    let fit = || Fit::<_>::new(2).checkpoint(&path);
    fit().run(&mut model, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows)).unwrap();
    let (mut again, mut adam_again, ..) = start();
    let fitted =
        fit().run(&mut again, &mut adam_again, batches, |_, _| -> gradus_autograd::Var { panic!("a step") });
    assert_eq!(fitted.unwrap().rows, []);
    assert_eq!(model_bits(&again), model_bits(&model));
    assert_eq!(again.forward(&x).shape(), [ROWS, 1]);
}

#[test]
fn a_checkpoint_that_does_not_fit_is_an_error() {
    let folder = Folder::new("unfit");
    let path = folder.file("run.safetensors");
    let (mut model, mut adam, x, y) = start();
    let mut run = |adam: &mut AdamW| {
        let fit = Fit::new(1).checkpoint(&path);
        fit.run(&mut model, adam, batches, |model, rows| loss(model, &x, &y, &rows)).map(drop)
    };
    run(&mut adam).unwrap();
    let error = run(&mut AdamW::new(0.02).weight_decay(0.5)).unwrap_err().to_string();
    assert!(
        error.starts_with("load_state: the state does not fit the optimizer: its options are"),
        "{error}"
    );
    State::new().write(&path).unwrap();
    let error = run(&mut adam).unwrap_err().to_string();
    assert!(error.ends_with("`loss` must be four f64"), "{error}");
}

#[test]
fn batches_may_be_results() {
    let (mut model, mut adam, x, y) = start();
    let read = |epoch: usize| {
        let fault = std::io::Error::other("the disk is gone");
        batches(epoch).into_iter().map(Ok).chain((epoch == 2).then_some(Err(fault)))
    };
    let mut run = |epochs| {
        Fit::new(epochs).run(&mut model, &mut adam, read, |model, rows| {
            Ok::<_, std::io::Error>(loss(model, &x, &y, &rows?))
        })
    };
    assert_eq!(run(1).unwrap().rows.len(), 1);
    assert_eq!(run(2).unwrap_err().to_string(), "the loss of a batch: the disk is gone");
}

#[test]
fn an_error_of_the_validation_ends_the_run() {
    let (mut model, mut adam, x, y) = start();
    let mut epochs = 0;
    let error = Fit::new(5)
        .validate(|model| {
            epochs += 1;
            let error = test_error(model, &x, &y);
            if epochs < 3 { Ok(vec![("mse", error)]) } else { Err("the disk is gone") }
        })
        .run(&mut model, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows))
        .unwrap_err();
    assert_eq!(error.to_string(), "the validation: the disk is gone");
    assert_eq!(epochs, 3);
}

/// In evaluation mode, without a tape, and in any batches.
#[test]
fn predictions_are_the_outputs_of_the_whole() {
    let rng = &mut seeded(0);
    let mut model = Sequential::new().push(Linear::new(3, 4, rng)).push(Dropout::new(0.5, 0));
    let x = Tensor::<f32>::randn([10, 3], rng);
    let whole = model.evaluate(|model| model.forward(Var::constant(x.clone())).into_value());
    for size in [1, 3, 10, 11] {
        let predicted = predict(&mut model, x.split(size, 0), |model, x| {
            let y = model.forward(Var::constant(x));
            assert!(!y.is_tracked());
            y
        });
        assert!(predicted.allclose(&whole, 1e-6, 1e-6));
    }
    assert!(model.is_training());
}
