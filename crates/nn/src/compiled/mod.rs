//! Compiled functions: a step is recorded in its first call, and run again without recording.

mod exchange;
mod forms;
mod optimizers;

use std::fmt::{self, Debug, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use gradus_autograd::compile::{self, External, Member as Place};
use gradus_autograd::{Float, InstructionSet, OperandValue, Plan, Variables};
use smallvec::SmallVec;

use self::exchange::{AsInputs, Detached, Results, Same};
use self::forms::{Form, MemberForm, MemberPlace, forms_of, members_of};
pub use self::optimizers::Optimizers;
use crate::member::MemberMut;
use crate::module::Module;
use crate::optim::Optimizer;
use crate::path::Path;

/// The most plans that are kept, for different shapes of the inputs.
const MOST_PLANS: usize = 8;

/// A function of a model, an optimizer and inputs that is recorded when it is first called, and from then on runs as a
/// fixed plan, without a tape. Most gradient rules are part of the plan as the operations that they made; rules that compute
/// with numbers, such as attention's, run again.
///
/// The results have the same bits as those of the function itself: forward and backward passes, clipping, the step of an
/// optimizer, masks of dropout and running statistics. Inputs of other shapes, a model in another mode or with other
/// frozen parameters, an optimizer with other states, and another [`InstructionSet`] are recorded anew. Between calls, model
/// and optimizer are used as ever: read, saved, loaded, changed.
///
/// ```
/// use gradus_autograd::{Tensor, Var, seeded};
/// use gradus_nn::{Compiled, Linear, Losses, Optimizer, Sgd};
///
/// let (mut layer, mut sgd) = (Linear::<f32>::new(2, 1, &mut seeded(0)), Sgd::new(0.1));
/// let mut step = Compiled::new(|layer: &mut Linear, sgd: &mut Sgd, (x, y): (Var, Var)| {
///     let loss = layer.forward(&x).mse_loss(&y);
///     sgd.step(layer, &loss.clone().backward());
///     loss
/// });
/// let (x, y) = (Var::from([[0.0, 1.0], [1.0, 1.0]]), Var::from([[1.0], [2.0]]));
/// for _ in 0..300 {
///     step.call(&mut layer, &mut sgd, (x.clone(), y.clone()));
/// }
/// assert!(step.call(&mut layer, &mut sgd, (x, y)).item() < 1e-6);
/// ```
///
/// # What a plan holds
/// The function is recorded, so it must do the same in each call. Everything that varies is an input, a member of the model
/// or a state of the optimizer. What can be seen to break this is an error at the caller's line:
///
/// - reading numbers (`item`, `value`, `to_vec`, a comparison that decides a branch, [`Gradients::loss`]): return the
///   variable, and read it outside;
/// - a change of learning rates, which belongs between calls;
/// - tensors of random numbers (`Tensor::randn` and its like, initialisation, samples of distributions), but inside of gradient
///   rules, which run again as a whole: draw outside and give an input, or use [`Dropout`](crate::Dropout) and
///   [`Counter::next_key`](crate::Counter::next_key);
/// - other numbers from elsewhere that change: the second call records again and compares, and panics if constants or
///   operations are other ones;
/// - a captured tensor that somebody replaces or changes later, such as one behind a lock. The plan watches the number of
///   owners of each constant that it shares. If that has fallen since the last call, the function is recorded again and compared
///   with the plan, which panics if its constants are other ones.
///
/// Three changes after the second call are not seen: of a number that is no tensor, such as an `f64` behind a lock, or a tensor that
/// the function computes with before it becomes a [`Var`](gradus_autograd::Var); of a captured tensor whose old value somebody
/// keeps from the moment of the change on, another compiled function included; and by another thread while a call records. Make
/// such numbers inputs, or members of the model.
///
/// [`checkpoint`](gradus_autograd::checkpoint) saves memory here, too: the plan computes again what the backward pass reads. The two
/// calls that record it keep all values.
///
/// The closure owns what it captures (`'static`), so nobody else can change it but through a lock. Hooks inside of it are compared
/// by name alone. Fields of layers that are no members, such as `p` of
/// [`Dropout`](crate::Dropout) or a stride, are part of the plan: after a change of one, make a new `Compiled`.
///
/// [`Gradients::loss`]: gradus_autograd::Gradients::loss
pub struct Compiled<M, O, I, R, T: Float = f32> {
    function: Box<Function<M, O, I, R>>,
    /// The last one was used last.
    plans: Vec<Recorded<R, T>>,
}

/// A function of a model, optimizers and inputs.
type Function<M, O, I, R> = dyn Fn(&mut M, &mut O, I) -> R + Send + Sync;

/// What is known of a function for inputs of some shapes.
struct Recorded<R, T: Float> {
    program: Plan<T>,
    /// Which instructions a routine may have, and the bits of its products, depend on it.
    instruction_set: InstructionSet,
    inputs: Vec<Form>,
    /// [`Given::structure`].
    structure: Vec<usize>,
    members: Vec<MemberForm>,
    /// The names of the parameters that optimizers change: the number of the optimizer, the place among its states.
    updates: Vec<(usize, usize, Arc<str>)>,
    /// The results of the first call, in whose place others are returned.
    results: R,
    /// Whether a second recording gave the same program.
    confirmed: bool,
}

/// The members of a model, in the order of their visit.
type Members<'a, T> = SmallVec<[External<'a, T>; 16]>;

/// The inputs of a call.
struct Given<'a, T: Float> {
    values: SmallVec<[OperandValue<'a, T>; 4]>,
    /// The lengths of lists, and which options have something.
    structure: SmallVec<[usize; 4]>,
}

impl<'a, T: Float> Given<'a, T> {
    fn new() -> Self {
        Self { values: SmallVec::new(), structure: SmallVec::new() }
    }

    /// Enters all inputs, in place: to move the lists takes as long as to make them.
    #[inline]
    fn enter(&mut self, inputs: &'a impl Variables<T>) {
        inputs.visit(&mut |operand| self.values.push(operand.value()));
        inputs.structure(&mut |length| self.structure.push(length));
    }
}

impl<M: Module<T>, O: Optimizers<T>, I: Variables<T>, R: Variables<T>, T: Float> Compiled<M, O, I, R, T> {
    /// A function to be compiled: of a model, an optimizer (or a tuple of optimizers, or `()`), and inputs, which are
    /// variables, indices, masks, tuples, arrays and lists of them; so are its results.
    pub fn new(function: impl Fn(&mut M, &mut O, I) -> R + Send + Sync + 'static) -> Self {
        Self { function: Box::new(function), plans: Vec::new() }
    }

    /// The results of the function, which are constants. The first two calls with inputs of some shapes record; later ones
    /// run the plan, or record again after a captured tensor may have changed. Inside of another function that is being compiled,
    /// it is a plain call.
    ///
    /// # Panics
    /// As the function does; if it reads numbers that other calls would have to read again, or if a later recording does
    /// something else than the first. After a panic in a plan, model and optimizer may have made a part of the step.
    #[track_caller]
    pub fn call(&mut self, model: &mut M, optimizers: &mut O, inputs: I) -> R {
        if compile::is_tracing() {
            return (self.function)(model, optimizers, inputs);
        }
        // All of them, as a plan that is made meanwhile shares their constants.
        for plan in &mut self.plans {
            plan.program.look();
        }
        let mut given = Given::new();
        given.enter(&inputs);
        if let Some(plan) = self.plans.last_mut()
            && plan.can_run()
            && plan.fits(optimizers, &given)
        {
            let mut members = SmallVec::new();
            if plan.enter(model, &mut members) {
                return plan.run(&mut members, optimizers, &given);
            }
        }
        let forms = forms_of(model);
        let fits = |plan: &Recorded<R, T>| plan.members == forms && plan.fits(optimizers, &given);
        let first = self.plans.iter().rposition(fits).map(|place| self.plans.remove(place));
        if first.as_ref().is_some_and(Recorded::can_run) {
            self.plans.extend(first);
            let plan = self.plans.last_mut().expect("it was pushed");
            let mut members = SmallVec::new();
            assert!(plan.enter(model, &mut members), "the plan does not fit a model of the same form");
            return plan.run(&mut members, optimizers, &given);
        }
        self.record(model, optimizers, &inputs, first);
        if let Some(plan) = self.plans.last_mut().filter(|plan| plan.confirmed) {
            // The recordings are dropped, so that only other owners are left.
            plan.program.watch();
        }
        for plan in &mut self.plans {
            plan.program.count_owners();
        }
        let plan = self.plans.last().expect("it was recorded");
        plan.results.exchange(&mut Same)
    }

    /// The plan that the last call used or made.
    ///
    /// It prints as the tape does, with the memory of each result and the operations of each fused pass; `to_svg` draws it.
    pub fn plan(&self) -> Option<&Plan<T>> {
        self.plans.last().map(|plan| &plan.program)
    }

    /// Runs the function and records it. A plan from the first call must be the same.
    #[track_caller]
    fn record(&mut self, model: &mut M, optimizers: &mut O, inputs: &I, first: Option<Recorded<R, T>>) {
        let traced = inputs.exchange(&mut AsInputs);
        model.visit_mut(Path::ROOT, &mut |_, member| {
            if let MemberMut::Parameter(parameter) = member {
                parameter.trace_frozen(true);
            }
        });
        let members = members_of(model);
        let addresses: Vec<usize> = (0..)
            .map_while(|n| {
                optimizers.nth(n).map(|optimizer| std::ptr::from_mut(optimizer).cast::<()>() as usize)
            })
            .collect();
        let forms = forms_of(model);
        let traced_again = traced.exchange(&mut Same);
        let step = || (self.function)(model, optimizers, traced_again);
        let run = || compile::trace::<T, R>(|| compile::refuse_draws(step));
        let outcome = catch_unwind(AssertUnwindSafe(run));
        model.visit_mut(Path::ROOT, &mut |_, member| {
            if let MemberMut::Parameter(parameter) = member {
                parameter.trace_frozen(false);
            }
        });
        let (results, trace) = outcome.unwrap_or_else(|panic| resume_unwind(panic));
        let is_mode = |form: &&MemberForm| matches!(form, MemberForm::Mode(_));
        assert!(
            forms.iter().filter(is_mode).eq(forms_of(model).iter().filter(is_mode)),
            "call: a function that is being compiled sets a mode of the model, which later calls would not: set it between \
             calls"
        );
        let (mut outputs, mut operands) = (Vec::new(), Vec::new());
        results.visit(&mut |operand| outputs.push(operand));
        traced.visit(&mut |operand| operands.push(operand));
        let places: Vec<Place<'_, T>> = members.iter().map(MemberPlace::place).collect();
        let program = Plan::new(trace, &outputs, &operands, &places, &addresses);
        let updates = program.updates().map(|(number, place)| {
            let optimizer = optimizers.nth(number).expect("it was given");
            let name = optimizer.parameter_at(place).expect("the optimizer told its place");
            (number, place, Arc::clone(name))
        });
        let updates = updates.collect();
        let results = results.exchange(&mut Detached);
        if let Some(Err(difference)) = first.as_ref().map(|first| first.program.compare(&program)) {
            let lost = first.as_ref().and_then(|first| first.program.shape_of_lost());
            let change = match lost {
                Some(shape) => format!(
                    "a tensor of shape {shape:?} that the compiled function captured has changed since it was recorded"
                ),
                None => format!(
                    "the second call of a compiled function does something else than the first: {difference}"
                ),
            };
            panic!(
                "call: {change}; all that varies must be an input, a member of the model or a state of the optimizer"
            );
        }
        let mut given = Given::new();
        given.enter(inputs);
        if self.plans.len() == MOST_PLANS {
            self.plans.remove(0);
        }
        self.plans.push(Recorded {
            program,
            instruction_set: InstructionSet::current(),
            inputs: given.values.iter().map(|&value| Form::of_operand(value)).collect(),
            structure: given.structure.to_vec(),
            members: forms,
            updates,
            results,
            confirmed: first.is_some(),
        });
    }
}

impl<R: Variables<T>, T: Float> Recorded<R, T> {
    /// Whether it was confirmed, and nothing that was captured may have changed since.
    fn can_run(&self) -> bool {
        self.confirmed && self.program.is_current()
    }

    /// Whether the plan is for inputs of these shapes and for these states of optimizers.
    fn fits(&self, optimizers: &mut impl Optimizers<T>, inputs: &Given<'_, T>) -> bool {
        let has_state = |optimizer: &dyn Optimizer<T>, place, name: &Arc<str>| {
            optimizer.parameter_at(place).is_some_and(|known| Arc::ptr_eq(known, name) || known == name)
        };
        self.instruction_set == InstructionSet::current()
            && self.inputs.len() == inputs.values.len()
            && self.inputs.iter().zip(&inputs.values).all(|(form, &value)| form.fits_operand(value))
            && self.structure.iter().eq(&inputs.structure)
            && self.updates.iter().all(|(number, place, name)| {
                optimizers.nth(*number).is_some_and(|optimizer| has_state(optimizer, *place, name))
            })
    }

    /// Enters the members of a model; `false` if it has another form, and then they are incomplete.
    fn enter<'m>(&self, model: &'m mut impl Module<T>, members: &mut Members<'m, T>) -> bool {
        let (mut forms, mut fits) = (self.members.iter(), true);
        model.visit_mut(Path::ROOT, &mut |_, member| {
            let Some(form) = forms.next().filter(|_| fits) else { return fits = false };
            let (known, external) = match (form, member) {
                (MemberForm::Parameter { form, trainable }, MemberMut::Parameter(parameter)) => (
                    *trainable == parameter.is_trainable() && form.fits(parameter.numbers()),
                    External::Number(parameter.numbers_mut()),
                ),
                (MemberForm::Buffer(form), MemberMut::Buffer(buffer)) => {
                    let value = buffer.value_mut();
                    (form.fits(value), External::Number(value))
                }
                (MemberForm::Counter, MemberMut::Counter(counter)) => {
                    (true, External::Counter(counter.value_mut()))
                }
                (MemberForm::Mode(mode), MemberMut::Mode(other)) => (mode == other, External::Other),
                (MemberForm::Packed, MemberMut::Packed(_)) => (true, External::Other),
                _ => (false, External::Other),
            };
            fits = known;
            members.push(external);
        });
        fits && forms.next().is_none()
    }

    /// The results, for a model and optimizers that fit.
    #[track_caller]
    fn run(
        &mut self,
        members: &mut Members<'_, T>,
        optimizers: &mut impl Optimizers<T>,
        inputs: &Given<'_, T>,
    ) -> R {
        let mut update = |number, place, parameter: &mut _, gradient: &_| {
            let optimizer = optimizers.nth(number).expect("it was there before");
            optimizer.update_at(place, parameter, gradient);
        };
        let results = self.program.run(&inputs.values, members, &mut update);
        self.results.exchange(&mut Results(results))
    }
}

impl<M, O, I, R, T: Float> Debug for Compiled<M, O, I, R, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled, with {} plans", self.plans.len())
    }
}
