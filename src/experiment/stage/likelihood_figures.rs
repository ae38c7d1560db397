//! What is drawn of a likelihood.

use std::sync::Arc;

use ndarray::Array2;
use tch::Tensor;

use super::ledger::{AtTolerance, Ledger, Likelihood, Tolerances, to_bits};
use super::report::{Drawer, Plane, first_two};
use crate::error::Result;
use crate::experiment::{LikelihoodSpec, Plan, RunDir};
use crate::likelihood::{Divergence, ExactTrace, log_density};
use crate::report::{
    Block, DensityMap, DensityPanel, Histogram, HistogramSet, SpreadRow, Spreads, ToleranceCurves, TolerancePoint,
    ToleranceSeries, number,
};
use crate::score::Model;
use crate::tensor;
use crate::train::Mean;

/// Nodes along an axis of the map, and how far it reaches beyond the data.
const NODES: usize = 96;
const MARGIN: f64 = 0.15;

/// The tolerance of the map.
const TOLERANCE: f64 = 1e-4;

/// Draws the figures of the likelihood of a run into `figures/`.
///
/// # Errors
/// A disk that is full, a tolerance that cannot be met.
pub fn likelihood_figures(plan: &Plan, model: &dyn Model, run: &RunDir) -> Result<()> {
    Drawer::new(plan, (model, model), run)?.likelihood(run).map(drop)
}

impl Drawer<'_> {
    /// The terms of the likelihood of a run, and how it spreads, by class, over the plane, and with the tolerance; nothing
    /// where none was computed.
    pub(super) fn likelihood(&self, run: &RunDir) -> Result<Vec<Block>> {
        let Some(likelihood) = Likelihood::read(run)? else { return Ok(Vec::new()) };
        let mut blocks = vec![Block::Paragraph(capitalised(&likelihood.about)), Block::Table(likelihood.table())];
        blocks.push(self.spread(&likelihood, run)?);
        blocks.extend(self.by_class(run)?);
        blocks.extend(self.density_map()?);
        blocks.extend(self.by_tolerance(run)?);
        Ok(blocks)
    }

    fn spread(&self, likelihood: &Likelihood, run: &RunDir) -> Result<Block> {
        let set = |name: &str, values: Vec<f64>, mean: (f64, f64)| HistogramSet {
            name: name.into(),
            values,
            mean: Some(mean),
        };
        let mean = |mean: Mean| (mean.value, mean.standard_error);
        let mut sets = vec![set("model", Ledger::read(run, "bits_per_dim"), mean(likelihood.bits_per_dim))];
        if let Some(known) = likelihood.known {
            let values = Ledger::read(run, "known").into_iter().map(|v| v * to_bits(likelihood.dimensions)).collect();
            sets.push(set("law of the data", values, mean(known)));
        }
        let figure = Histogram { x_label: "bits per dimension".into(), sets, ..Histogram::default() };
        let caption = format!("−log₂ p/D of {} samples, one by one, and the mean.", likelihood.count);
        self.block(&figure, "likelihood", caption)
    }

    fn by_class(&self, run: &RunDir) -> Result<Option<Block>> {
        let (classes, bits) = (Ledger::read(run, "class"), Ledger::read(run, "bits_per_dim"));
        if classes.is_empty() {
            return Ok(None);
        }
        let row = |(place, name): (usize, &String)| SpreadRow {
            label: name.clone(),
            values: classes.iter().zip(&bits).filter(|(class, _)| **class == place as f64).map(|(_, v)| *v).collect(),
        };
        let rows = self.plan.data().classes().iter().enumerate().map(row).collect();
        let figure = Spreads { x_label: "bits per dimension".into(), rows, ..Spreads::default() };
        let caption = "−log₂ p/D of the samples of each class: the quartiles, the middle 90 %, the median, and the mean \
                       with two standard errors.";
        self.block(&figure, "likelihood-classes", caption).map(Some)
    }

    /// ln p of the model over the plane, beside that of the data where it is known.
    fn density_map(&self) -> Result<Option<Block>> {
        let Some(Plane { data, x, y, nodes }) = self.plane(NODES, MARGIN) else { return Ok(None) };
        let sde = &self.plan.sde;
        let (k, count) = (sde.kernel(sde.span().t_min), nodes.size()[0]);
        let model = &*self.plan.finest(self.model, count);
        let sampler = LikelihoodSpec::default().sampler(self.plan, count as usize, Some(TOLERANCE));
        let divergence: Arc<dyn Divergence> = Arc::new(ExactTrace {});
        let workers = &self.plan.compute.workers;
        let found = log_density((model, sde), (&(&nodes * k.alpha), 0), &divergence, sampler, workers, &|_| Ok(()))?;
        let over_plane = |values: &Tensor| {
            let values = tensor::to_array(values).into_iter().collect();
            Array2::from_shape_vec((y.len(), x.len()), values).expect("one value for each node")
        };
        let panel =
            |title: &str, values: &Tensor| DensityPanel { title: title.into(), log_density: over_plane(values) };
        let mut panels = vec![panel("model", &(found.total() + 2.0 * k.alpha.ln()))];
        let known = self.plan.data().log_density(&nodes.to_device(tch::Device::Cpu));
        panels.extend(known.map(|known| panel("law of the data", &known)));
        let figure =
            DensityMap { x: x.clone(), y: y.clone(), panels, data: first_two(data.view()), ..DensityMap::default() };
        let caption = format!(
            "ln p of the model at t_min, where data have noise of the standard deviation κ₀ = {}, by the probability flow \
             from every point{}.",
            number(k.ratio()),
            self.units()
        );
        self.block(&figure, "likelihood-map", caption).map(Some)
    }

    fn by_tolerance(&self, run: &RunDir) -> Result<Option<Block>> {
        let found = Tolerances::read(run);
        if found.is_empty() {
            return Ok(None);
        }
        let point = |at: &AtTolerance| TolerancePoint {
            tolerance: at.tolerance,
            nfe: at.nfe,
            value: at.bits,
            standard_error: at.error,
        };
        let series = vec![ToleranceSeries { name: String::new(), points: found.iter().map(point).collect() }];
        let figure = ToleranceCurves { y_label: "bits per dimension".into(), series, ..ToleranceCurves::default() };
        let caption = "The same likelihood at several tolerances of the solver, and what they cost; bars are standard errors \
                       of the difference from the tightest.";
        self.block(&figure, "likelihood-tolerances", caption).map(Some)
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect::<String>() + ".")
}
