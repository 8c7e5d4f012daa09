//! What training is made of, by the names that the runs have for it.

use gradus::{
    Adadelta, Adagrad, AdamRule, CrossEntropyLoss, Descent, Losses, Optimizer, RmsProp, Schedule, Sgd,
    clip_grad_norm, clip_grad_value, schedule,
};

use super::options::Options;
use super::{Clip, Loss};
use crate::data::Result;

/// Cross-entropies are those of all rows and positions, the classes being the last axis.
pub(crate) fn loss(name: &str) -> Result<Loss> {
    if let Some(smoothing) = name.strip_prefix("ce") {
        let smoothing = match smoothing.strip_prefix("_smooth") {
            Some(number) => number.parse().map_err(|_| format!("loss {name}"))?,
            None if smoothing.is_empty() => 0.0,
            None => return Err(format!("loss {name}")),
        };
        let loss = CrossEntropyLoss::new().label_smoothing(smoothing);
        return Ok(Box::new(move |output, y| {
            let classes = output.shape()[output.rank() - 1];
            loss.forward(&output.reshape([y.indices().len(), classes]), y.indices().reshape([-1]))
        }));
    }
    match name {
        "mse" => Ok(Box::new(|output, y| output.mse_loss(y.numbers()))),
        "huber" => Ok(Box::new(|output, y| output.huber_loss(y.numbers()))),
        _ => Err(format!("loss {name}")),
    }
}

/// Without options, gradients stay as they are.
pub(crate) fn clip(options: Option<Options>) -> Result<Clip> {
    let norm_up_to =
        |max| -> Clip { Box::new(move |gradients, model| clip_grad_norm(gradients, &**model, max)) };
    let Some(mut options) = options else { return Ok(norm_up_to(f64::INFINITY)) };
    let (kind, max) = (options.text("kind")?, options.number("max")?);
    options.finish()?;
    match &kind[..] {
        "norm" => Ok(norm_up_to(max)),
        "value" => Ok(Box::new(move |gradients, model| {
            let norm = clip_grad_norm(gradients, &**model, f64::INFINITY);
            clip_grad_value(gradients, &**model, max);
            norm
        })),
        _ => Err(format!("clip {kind}")),
    }
}

/// Defaults are those of `PyTorch`.
pub(crate) fn optimizer(mut options: Options) -> Result<Box<dyn Optimizer<f64>>> {
    let name = options.text("name")?;
    let lr = options.number("lr")?;
    let weight_decay = options.number_or("weight_decay", if name == "AdamW" { 0.01 } else { 0.0 })?;
    let optimizer: Box<dyn Optimizer<f64>> = match &name[..] {
        "SGD" => {
            let sgd = Sgd::new(lr).weight_decay(weight_decay);
            let sgd = sgd.momentum(options.number_or("momentum", 0.0)?);
            let sgd = sgd.dampening(options.number_or("dampening", 0.0)?);
            Box::new(if options.flag("nesterov")? { sgd.nesterov() } else { sgd })
        }
        "Adam" => Box::new(adam::<false>(lr, weight_decay, &mut options)?),
        "AdamW" => Box::new(adam::<true>(lr, weight_decay, &mut options)?),
        "RMSprop" => {
            let rms_prop = RmsProp::new(lr).weight_decay(weight_decay);
            let rms_prop =
                rms_prop.alpha(options.number_or("alpha", 0.99)?).eps(options.number_or("eps", 1e-8)?);
            let rms_prop = rms_prop.momentum(options.number_or("momentum", 0.0)?);
            Box::new(if options.flag("centered")? { rms_prop.centered() } else { rms_prop })
        }
        "Adagrad" => Box::new(
            Adagrad::new(lr)
                .weight_decay(weight_decay)
                .lr_decay(options.number_or("lr_decay", 0.0)?)
                .initial_accumulator_value(options.number_or("initial_accumulator_value", 0.0)?)
                .eps(options.number_or("eps", 1e-10)?),
        ),
        "Adadelta" => Box::new(
            Adadelta::new(lr)
                .weight_decay(weight_decay)
                .rho(options.number_or("rho", 0.9)?)
                .eps(options.number_or("eps", 1e-6)?),
        ),
        _ => return Err(format!("optimizer {name}")),
    };
    options.finish()?;
    Ok(optimizer)
}

fn adam<const DECOUPLED: bool>(
    lr: f64,
    weight_decay: f64,
    options: &mut Options,
) -> Result<Descent<AdamRule<DECOUPLED>, f64>> {
    let [first, second] = options.pair_or("betas", [0.9, 0.999])?;
    let adam = Descent::<AdamRule<DECOUPLED>, f64>::new(lr).weight_decay(weight_decay);
    let adam = adam.betas(first, second).eps(options.number_or("eps", 1e-8)?);
    Ok(if options.flag("amsgrad")? { adam.amsgrad() } else { adam })
}

/// Defaults are those of `PyTorch`; without options, the rate stays as it is.
pub(crate) fn schedule_of(options: Option<Options>) -> Result<Box<dyn Schedule>> {
    let Some(mut options) = options else { return Ok(Box::new(|_, initial| initial)) };
    let name = options.text("name")?;
    let schedule: Box<dyn Schedule> = match &name[..] {
        "StepLR" => Box::new(schedule::step(options.count("step_size")?, options.number_or("gamma", 0.1)?)),
        "MultiStepLR" => {
            Box::new(schedule::multi_step(options.counts("milestones")?, options.number_or("gamma", 0.1)?))
        }
        "ExponentialLR" => Box::new(schedule::exponential(options.number("gamma")?)),
        "CosineAnnealingLR" => {
            Box::new(schedule::cosine(options.count("T_max")?, options.number_or("eta_min", 0.0)?))
        }
        "LinearLR" => Box::new(schedule::linear(
            options.number_or("start_factor", 1.0 / 3.0)?,
            options.number_or("end_factor", 1.0)?,
            options.count_or("total_iters", 5)?,
        )),
        "OneCycleLR" => {
            let linear = match (options.flag("linear")?, &options.text_or("anneal_strategy", "cos")?[..]) {
                (false, "cos") => false,
                (true, _) | (_, "linear") => true,
                (_, other) => return Err(format!("schedule {name} with anneal_strategy {other}")),
            };
            Box::new(schedule::OneCycle {
                max_lr: options.number("max_lr")?,
                total_steps: options.count("total_steps")?,
                pct_start: options.number_or("pct_start", 0.3)?,
                div_factor: options.number_or("div_factor", 25.0)?,
                final_div_factor: options.number_or("final_div_factor", 1e4)?,
                linear,
            })
        }
        _ => return Err(format!("schedule {name}")),
    };
    options.finish()?;
    Ok(schedule)
}
