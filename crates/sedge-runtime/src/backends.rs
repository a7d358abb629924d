//! The backends of this process, and the choice among them.

use std::fmt;
use std::sync::Arc;

use sedge_statement::{RuntimeFact, Variant};

use crate::backend::{Backend, Unsupported, Unusable};
use crate::candle::Candle;
use crate::tract::Tract;

/// The backends of this process, the preferred first.
#[derive(Debug, Clone)]
pub struct Backends(Arc<[Arc<dyn Backend>]>);

impl Backends {
    /// Those that need nothing installed.
    pub fn embedded() -> Self {
        Self::new([Arc::new(Tract) as Arc<dyn Backend>, Arc::new(Candle)])
    }

    /// Any others, the preferred first.
    pub fn new(backends: impl IntoIterator<Item = Arc<dyn Backend>>) -> Self {
        Self(backends.into_iter().collect())
    }

    /// What the node's profile says of them: those that work here, with what works.
    pub fn facts(&self) -> Vec<RuntimeFact> {
        let fact = |backend: &Arc<dyn Backend>| {
            let providers = backend.providers().ok()?.iter().map(|p| p.word().to_owned()).collect();
            Some(RuntimeFact { backend: backend.name().to_owned(), version: backend.version(), providers })
        };
        self.0.iter().filter_map(fact).collect()
    }

    /// The first backend that works here and supports the variant.
    ///
    /// # Errors
    /// Every backend with the reason why not it.
    pub fn choose(&self, variant: &Variant) -> Result<Arc<dyn Backend>, NoBackend> {
        let mut reasons = Vec::new();
        for backend in self.0.iter() {
            let reason = match backend.providers() {
                Err(unusable) => WhyNot::Unusable(unusable),
                Ok(_) => match backend.supports(variant) {
                    Ok(()) => return Ok(Arc::clone(backend)),
                    Err(unsupported) => WhyNot::Unsupported(unsupported),
                },
            };
            reasons.push((backend.name(), reason));
        }
        Err(NoBackend(reasons))
    }
}

/// No backend here runs the variant: publish a variant for one that is here, or install one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NoBackend(Vec<(&'static str, WhyNot)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum WhyNot {
    Unusable(Unusable),
    Unsupported(Unsupported),
}

impl fmt::Display for NoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no backend here runs it")?;
        for (at, (backend, reason)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { ": " } else { "; " })?;
            match reason {
                WhyNot::Unusable(why) => write!(f, "{backend}: {why}")?,
                WhyNot::Unsupported(why) => write!(f, "{backend}: {why}")?,
            }
        }
        Ok(())
    }
}
