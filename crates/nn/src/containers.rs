//! Containers of modules.

use gradus_autograd::Float;

use crate::member::{Member, MemberMut};
use crate::module::Module;
use crate::path::Path;

/// Containers: elements of a `Vec` or an array are named by their index; an `Option` or `Box` adds no name.
macro_rules! impl_container {
    ($([$($generics:tt)*] $container:ty, |$container_:ident, $path:ident| $elements:expr, $elements_mut:expr;)*) => {$(
        impl<$($generics)*, T: Float> Module<T> for $container {
            fn visit<'a>(&'a self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                let $container_ = self;
                for (path, module) in $elements {
                    module.visit(path, visitor);
                }
            }
            fn visit_mut<'a>(&'a mut self, $path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
                let $container_ = self;
                for (path, module) in $elements_mut {
                    module.visit_mut(path, visitor);
                }
            }
        }
    )*};
}

impl_container! {
    [M: Module<T>] Vec<M>,
        |container, path| container.iter().enumerate().map(|(i, module)| (path.index(i), module)),
        container.iter_mut().enumerate().map(|(i, module)| (path.index(i), module));
    [M: Module<T>, const N: usize] [M; N],
        |container, path| container.iter().enumerate().map(|(i, module)| (path.index(i), module)),
        container.iter_mut().enumerate().map(|(i, module)| (path.index(i), module));
    [M: Module<T>] Option<M>,
        |container, path| container.iter().map(|module| (path, module)),
        container.iter_mut().map(|module| (path, module));
    [M: Module<T> + ?Sized] Box<M>,
        |container, path| [(path, &**container)],
        [(path, &mut **container)];
}

/// Nothing, which has no members.
impl<T: Float> Module<T> for () {
    fn visit<'a>(&'a self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {}
    fn visit_mut<'a>(&'a mut self, _: Path<'_>, _: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {}
}

/// Tuples: members are named by their index.
macro_rules! impl_tuple {
    ($($($module:ident $i:tt)+;)*) => {$(
        impl<T: Float, $($module: Module<T>),+> Module<T> for ($($module,)+) {
            fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, T>)) {
                $(self.$i.visit(path.index($i), visitor);)+
            }
            fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, T>)) {
                $(self.$i.visit_mut(path.index($i), visitor);)+
            }
        }
    )*};
}

impl_tuple! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
}
