//! Samples that a comparison has kept, to look at.

use ndarray::Array2;
use tch::{Device, Kind};

use super::repeat::Subject;
use super::store::{Store, subject};
use super::{Only, jobs};
use crate::experiment::observer::Observer;
use crate::experiment::plan::Plan;
use crate::experiment::spec::CompareSpec;
use crate::score::Model;
use crate::tensor;

/// Samples of one solver at one budget.
pub(in crate::experiment::stage) struct Cloud {
    /// The label of the solver.
    pub entry: String,
    /// The budget; none for solvers that choose their own steps.
    pub budget: Option<usize>,
    /// The samples `[N, D]`, in the units of the data.
    pub points: Array2<f64>,
}

/// What `store` has of the first repeat of a comparison.
pub(in crate::experiment::stage) fn clouds(
    plan: &Plan,
    spec: &CompareSpec,
    model: &dyn Model,
    store: &Store,
    observer: &dyn Observer,
) -> Vec<Cloud> {
    let comparison = Subject::new(plan, &spec.metrics, spec.count(plan.spec.sample.count), observer);
    let common = subject(plan, model, comparison.count);
    let (jobs, _) = jobs(plan, spec, &Only::default());
    let cloud = |job: &super::Job| {
        let points = store.points(&comparison.key(&common, job, 0))?;
        let shape = [&[points.nrows() as i64], &plan.data().shape()[..]].concat();
        let x = tensor::from_array(&points.into_dyn(), (Kind::Double, Device::Cpu)).reshape(shape);
        let points = tensor::to_rows(&plan.data().restore(&x));
        Some(Cloud { entry: job.label.clone(), budget: job.budget, points })
    };
    jobs.iter().filter(|job| job.choice.is_some()).filter_map(cloud).collect()
}
