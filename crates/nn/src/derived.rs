//! Whether a type is a module, asked at compile time by the code that `#[derive(Module)]` makes.

use std::marker::PhantomData;

use crate::module::Module;

/// The answer for every type, unless an associated constant comes before it.
pub trait NotModule {
    const IS_MODULE: bool = false;
}

/// Asks for a module of `f32`.
#[derive(Debug)]
pub struct Single<M: ?Sized>(PhantomData<M>);

/// Asks for a module of `f64`.
#[derive(Debug)]
pub struct Double<M: ?Sized>(PhantomData<M>);

impl<M: ?Sized> NotModule for Single<M> {}
impl<M: ?Sized> NotModule for Double<M> {}

impl<M: Module<f32> + ?Sized> Single<M> {
    pub const IS_MODULE: bool = true;
}

impl<M: Module<f64> + ?Sized> Double<M> {
    pub const IS_MODULE: bool = true;
}
