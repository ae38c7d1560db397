//! What is drawn of images: mosaics, samples of each solver, the way from noise to data, the nearest training images.

use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;
use tch::{Kind, Tensor};

use super::compare::{Cloud, Store, clouds};
use super::findings::{Findings, Shown, label};
use super::likeness::TrainingImages;
use super::report::Drawer;
use super::sample::{SAMPLES, heading, open_npy};
use crate::data::Part;
use crate::error::{Error, Result};
use crate::experiment::observer::Observer;
use crate::experiment::run_dir::RunDir;
use crate::experiment::spec::CompareSpec;
use crate::npy;
use crate::report::{Block, ImageCell, ImageGrid, ImageRow, Picture, number};
use crate::score::Eval;
use crate::solve::prior;
use crate::tensor;

/// Images along the side of a mosaic, and of the tile of one solver at one budget.
const MOSAIC: usize = 8;
const TILE: usize = 3;
/// Samples whose way is shown, and stops on it.
const STRIPS: usize = 3;
const STOPS: usize = 10;
/// Samples whose neighbours are shown, and how many of each.
const SOUGHT: usize = 10;
const NEIGHBOURS: usize = 4;

/// Images `[B, C, H, W]` of bytes, one by one.
pub(super) fn pictures(images: &Tensor) -> Vec<Picture> {
    let size = images.size();
    let shape = [1, 2, 3].map(|axis| size[axis] as usize);
    let flat = images.to_device(tch::Device::Cpu).to_kind(Kind::Uint8).contiguous().view(-1);
    let bytes = Vec::<u8>::try_from(flat).expect("a flat CPU tensor of bytes is a vector");
    bytes.chunks_exact(shape.iter().product::<usize>().max(1)).map(|bytes| Picture::planes(bytes, shape)).collect()
}

pub(super) fn cells(pictures: Vec<Picture>) -> Vec<ImageCell> {
    pictures.into_iter().map(|picture| ImageCell { picture, note: String::new() }).collect()
}

/// Reads a `.npy` file of bytes.
pub(super) fn read_bytes(path: &Path) -> Result<ArrayD<u8>> {
    let remedy = "draw them again with `ornstein sample`";
    let array = ArrayD::<u8>::read_npy(open_npy(path, 1, remedy)?);
    array.map_err(|e| Error::file(path, npy::in_one_line(&e), remedy))
}

impl Drawer<'_> {
    /// Whether samples are images that can be shown.
    pub(super) fn shows_images(&self) -> bool {
        matches!(self.plan.data().shape()[..], [channels, _, _] if channels == 1 || channels >= 3)
    }

    /// Samples in the form that the data come in, as pictures.
    fn restored(&self, x: &Tensor) -> Vec<Picture> {
        pictures(&self.plan.data().restore(x))
    }

    /// Data beside samples, the way there, the training images that are nearest and how near they are, and how often each
    /// class comes.
    pub(super) fn images(&self, run: &RunDir) -> Result<Vec<Block>> {
        let path = run.file(SAMPLES);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let samples = read_bytes(&path)?;
        let shape: Vec<i64> = samples.shape().iter().map(|&n| n as i64).collect();
        if shape.len() != 4 || shape[1..] != self.plan.data().shape() {
            let problem = format!("it holds an array of the shape {shape:?}");
            return Err(Error::file(&path, problem, "draw the samples again with `ornstein sample`"));
        }
        let samples = Tensor::from_slice(&samples.iter().copied().collect::<Vec<_>>()).view(shape.as_slice());
        let training = self.training_images();
        let mut blocks =
            vec![self.mosaics(&samples, heading(run))?, self.strips()?, self.neighbours(&samples, &training)?];
        blocks.extend(self.nearness(&samples, &training)?);
        blocks.extend(self.classes(&samples)?);
        Ok(blocks)
    }

    /// A mosaic of data beside one of samples `[N, C, H, W]`.
    fn mosaics(&self, samples: &Tensor, heading: String) -> Result<Block> {
        let count = (MOSAIC * MOSAIC).min(samples.size()[0] as usize);
        let side = (count as f64).sqrt().ceil() as usize;
        let data = self.restored(&self.plan.measured(Part::Training, 0, count));
        let tiles = [data, pictures(&samples.narrow(0, 0, count as i64))].map(|images| Picture::tiled(&images, side));
        let figure = ImageGrid {
            columns: vec!["data".into(), heading],
            rows: vec![ImageRow { label: String::new(), cells: cells(tiles.into()) }],
            ..ImageGrid::default()
        };
        let caption = format!("Images of the data beside the first {count} samples of this run, not chosen.");
        self.block(&figure, "samples", caption)
    }

    /// The way of a few samples from noise to data, with what the model takes for the data at each stop.
    fn strips(&self) -> Result<Block> {
        let spec = &self.plan.spec;
        let choice = self.plan.sample_choice();
        let sampler = self.plan.sampler(&choice, spec.sample.steps(), spec.seed).expect("the experiment was checked");
        let init = prior(&*self.plan.sde, spec.seed, STRIPS, &self.plan.data().shape(), self.plan.options());
        let states = sampler.trajectory(self.of_samples, &init)?;
        // Equally spaced, the first and the last among them.
        let last = states.len() - 1;
        let mut stops: Vec<usize> = (0..STOPS).map(|i| i * last / (STOPS - 1)).collect();
        stops.dedup();
        let model = self.of_samples.part(0, STRIPS as i64);
        let mut rows: Vec<ImageRow> = (0..STRIPS)
            .flat_map(|i| {
                ["x", "x̂₀"].map(|what| ImageRow { label: format!("{what} of sample {}", i + 1), cells: Vec::new() })
            })
            .collect();
        let mut columns = Vec::new();
        for &stop in &stops {
            let state = &states[stop];
            // Under error control samples are at times of their own; a column then shows states of one round.
            let t = state.time(0);
            let k = self.plan.sde.kernel(t);
            columns.push(if k.sigma > 0.0 { format!("κ = {}", number(k.ratio())) } else { "κ = 0".into() });
            let denoised = match k.sigma > 0.0 {
                true => tch::no_grad(|| Eval::new(&*model, state.x.shallow_clone(), t).x0),
                false => state.x.shallow_clone(),
            };
            let shown = &state.x / k.alpha.hypot(k.sigma);
            for (offset, x) in [(0, &shown), (1, &denoised)] {
                for (i, picture) in self.restored(x).into_iter().enumerate() {
                    rows[2 * i + offset].cells.push(ImageCell { picture, note: String::new() });
                }
            }
        }
        let caption = "From noise to data: the state as x/√(α² + σ²), and below it what the model takes for the data, x̂₀ = \
                       E[x₀ | x], at noise levels κ = σ/α on the way.";
        self.block(&ImageGrid { columns, rows, ..ImageGrid::default() }, "strips", caption)
    }

    /// The training images that are nearest to samples `[N, C, H, W]` of bytes.
    fn neighbours(&self, samples: &Tensor, training: &TrainingImages) -> Result<Block> {
        let sought = samples.narrow(0, 0, samples.size()[0].min(SOUGHT as i64));
        let nearest = training.nearest(&sought, NEIGHBOURS as i64);
        let row = |label: &str, images: &Tensor| ImageRow { label: label.into(), cells: cells(pictures(images)) };
        let mut shown = vec![row("sample", &sought)];
        for (i, label) in ["nearest", "second", "third", "fourth"].into_iter().enumerate() {
            shown.push(row(label, &training.images.index_select(0, &nearest.select(1, i as i64))));
        }
        let looked = training.images.size()[0];
        let caption = format!(
            "Samples, and below each the nearest of {looked} training images in the distance of pixels: a model that \
             remembers images would show them again."
        );
        self.block(&ImageGrid { rows: shown, ..ImageGrid::default() }, "neighbours", caption)
    }

    /// The first samples of each solver at each budget, of those that the comparison has kept.
    pub(super) fn solver_images(
        &self,
        findings: &Findings,
        spec: &CompareSpec,
        run: &RunDir,
        observer: &dyn Observer,
    ) -> Result<Vec<Block>> {
        let clouds = clouds(self.plan, spec, self.model, &Store::new(run.cells()), observer);
        let shape = [&[-1], &self.plan.data().shape()[..]].concat();
        let tile = |cloud: &Cloud| {
            let count = (TILE * TILE).min(cloud.points.nrows());
            let first = cloud.points.slice(ndarray::s![..count, ..]).to_owned().into_dyn();
            let images = tensor::from_array(&first, (Kind::Float, tch::Device::Cpu)).reshape(shape.as_slice());
            Picture::tiled(&pictures(&images), TILE)
        };
        let cell = |cloud: Option<&Cloud>, note| ImageCell { picture: cloud.map_or_else(Picture::default, tile), note };
        let Some(Shown { columns, rows, metric }) = findings.shown(&clouds, cell) else { return Ok(Vec::new()) };
        let rows = rows.into_iter().map(|(label, cells)| ImageRow { label, cells }).collect();
        let figure = ImageGrid { columns, rows, ..ImageGrid::default() };
        let caption = format!(
            "The first {} samples of each solver at each budget of evaluations, from the same noise; below each, {}.",
            TILE * TILE,
            label(&metric)
        );
        Ok(vec![self.block(&figure, "solvers", caption)?])
    }
}
