//! `#[derive(Module)]` for structs of layers.

use proc_macro::TokenStream;
use proc_macro2::{Ident, TokenStream as Tokens, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Field, Fields, GenericParam, Index, Type, parse_macro_input};

/// Implements `Module`: a visit goes through the fields in order, each under its name.
///
/// Every field must be a `Module` itself: a parameter, a buffer, a layer, another struct that derives it, or a `Vec`,
/// array, tuple, `Option` or `Box` of these. `#[module(skip)]` leaves any other field out. `#[module(mode)]` marks a `bool`
/// that is true in training mode: `train`, `eval` and `evaluate` set it.
///
/// ```
/// use gradus::{Buffer, Linear, Module};
///
/// #[derive(Module)]
/// struct Model {
///     layer: Linear,
///     seen: Buffer,
///     #[module(mode)]
///     training: bool,
///     #[module(skip)]
///     name: String,
/// }
/// ```
///
/// A field of another type without an attribute is an error at the struct:
///
/// ```compile_fail
/// use gradus::{Linear, Module};
///
/// #[derive(Module)]
/// struct Model {
///     layer: Linear,
///     name: String,
/// }
/// ```
///
/// There is no other attribute, and an enum needs an implementation by hand:
///
/// ```compile_fail
/// use gradus::{Linear, Module};
///
/// #[derive(Module)]
/// struct Model {
///     layer: Linear,
///     #[module(ignore)]
///     name: String,
/// }
/// ```
///
/// ```compile_fail
/// use gradus::{Linear, Module};
///
/// #[derive(Module)]
/// enum Model {
///     Dense(Linear),
/// }
/// ```
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> syn::Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            &input.ident,
            "Module can be derived for structs only; implement it by hand for an enum or a union",
        ));
    };
    let (mut visits, mut visits_mut, mut types, mut checks) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, field) in data.fields.iter().enumerate() {
        let kind = kind(field)?;
        let (access, segment) = match (&data.fields, &field.ident) {
            (Fields::Named(_), Some(name)) => {
                let text = name.to_string();
                let text = text.trim_start_matches("r#");
                (name.to_token_stream(), quote!(path.field(#text)))
            }
            _ => (Index::from(i).to_token_stream(), quote!(path.index(#i))),
        };
        match kind {
            Kind::Skipped => {}
            Kind::Mode => {
                visits.push(quote!(visitor(#segment, ::gradus::Member::Mode(&self.#access));));
                visits_mut.push(quote!(visitor(#segment, ::gradus::MemberMut::Mode(&mut self.#access));));
            }
            Kind::Module => {
                visits.push(quote!(::gradus::Module::<__T>::visit(&self.#access, #segment, visitor);));
                visits_mut
                    .push(quote!(::gradus::Module::<__T>::visit_mut(&mut self.#access, #segment, visitor);));
                // A bound that the struct itself is a module would be circular.
                if !mentions(field.ty.to_token_stream(), &input.ident) {
                    types.push(&field.ty);
                    if !input.generics.params.iter().any(|parameter| is_used(parameter, &field.ty)) {
                        checks.push(check(&field.ty, &access));
                    }
                }
            }
        }
    }

    // The element type is a parameter of the trait: the fields decide which element types the struct has.
    let name = &input.ident;
    let mut generics = input.generics.clone();
    generics.params.push(syn::parse_quote!(__T: ::gradus::Float));
    let clause = generics.make_where_clause();
    for ty in types {
        clause.predicates.push(syn::parse_quote!(#ty: ::gradus::Module<__T>));
    }
    let (_, type_generics, _) = input.generics.split_for_impl();
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #(#checks)*

        #[automatically_derived]
        impl #impl_generics ::gradus::Module<__T> for #name #type_generics #where_clause {
            fn visit<'__a>(
                &'__a self,
                path: ::gradus::Path<'_>,
                visitor: &mut dyn ::core::ops::FnMut(::gradus::Path<'_>, ::gradus::Member<'__a, __T>),
            ) {
                visitor(path, ::gradus::Member::Layer(::gradus::LayerId::of(self)));
                #(#visits)*
            }

            fn visit_mut<'__a>(
                &'__a mut self,
                path: ::gradus::Path<'_>,
                visitor: &mut dyn ::core::ops::FnMut(::gradus::Path<'_>, ::gradus::MemberMut<'__a, __T>),
            ) {
                let _ = (&path, &visitor);
                #(#visits_mut)*
            }
        }
    })
}

/// An assertion that the type of a field is a module of `f32` or `f64`. The bounds of the implementation alone would fail
/// where the struct is used, without a word about the field.
fn check(ty: &Type, field: &Tokens) -> Tokens {
    let message = format!(
        "the field `{field}` of type `{}` is not a Module: derive Module for this type, or leave the field out with \
         #[module(skip)]",
        ty.to_token_stream()
    );
    let assertion = quote_spanned! {ty.span()=>
        ::core::assert!(
            ::gradus::derived::Single::<#ty>::IS_MODULE || ::gradus::derived::Double::<#ty>::IS_MODULE,
            #message
        );
    };
    quote! {
        const _: () = {
            use ::gradus::derived::NotModule as _;
            #assertion
        };
    }
}

/// Whether a type uses a generic parameter of the struct.
fn is_used(parameter: &GenericParam, ty: &Type) -> bool {
    let name = match parameter {
        GenericParam::Type(parameter) => &parameter.ident,
        GenericParam::Const(parameter) => &parameter.ident,
        GenericParam::Lifetime(parameter) => &parameter.lifetime.ident,
    };
    mentions(ty.to_token_stream(), name)
}

/// Whether a type mentions the struct itself, as in `Vec<Tree>`; `other::Tree` is a different one.
fn mentions(ty: Tokens, name: &Ident) -> bool {
    let mut in_path = false;
    ty.into_iter().any(|token| {
        let after_colon =
            std::mem::replace(&mut in_path, matches!(&token, TokenTree::Punct(p) if p.as_char() == ':'));
        match token {
            TokenTree::Ident(ident) => !after_colon && (ident == *name || ident == "Self"),
            TokenTree::Group(group) => mentions(group.stream(), name),
            _ => false,
        }
    })
}

/// The kind of a field.
enum Kind {
    Module,
    Mode,
    Skipped,
}

/// The kind that a field's attribute gives: `#[module(mode)]` or `#[module(skip)]`.
fn kind(field: &Field) -> syn::Result<Kind> {
    let mut kind = Kind::Module;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            kind = match meta.path.get_ident().map(Ident::to_string).as_deref() {
                Some("skip") => Kind::Skipped,
                Some("mode") => Kind::Mode,
                _ => {
                    return Err(
                        meta.error("unknown attribute; #[module(skip)] and #[module(mode)] are allowed")
                    );
                }
            };
            Ok(())
        })?;
    }
    Ok(kind)
}
