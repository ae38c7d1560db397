//! Whether samples are like the data: how often each class comes, and how near samples are to training images.

use std::path::{Path, PathBuf};

use tch::{Kind, Tensor};

use super::features::features_folder;
use super::report::Drawer;
use crate::data::Part;
use crate::error::Result;
use crate::feature::{Features, ImageClassifier, extract};
use crate::metric::{self, Memorisation, Nearness, Neighbor, Share};
use crate::report::{Block, ClassRow, ClassShares, NearestDistances};
use crate::rng::{Purpose, Stream};
use crate::tensor;

/// Images that are classified, and held-out ones whose nearest training image is sought.
const CLASSIFIED: usize = 2000;
const HELD_OUT: usize = 1000;
/// Images that are sought together: so many rows of distances are held at a time.
const SOUGHT: i64 = 128;
/// The most training numbers that are looked through.
const NUMBERS: usize = 1 << 27;

impl Drawer<'_> {
    /// The first training images.
    pub(super) fn training_images(&self) -> TrainingImages {
        let data = self.plan.data();
        let dim = data.shape().iter().product::<i64>().max(1) as usize;
        let stream = Stream::new(self.plan.spec.seed, Purpose::Reference);
        let all = data.rows(Part::Training).unwrap_or(0);
        TrainingImages::new(data.restore(&data.sample(Part::Training, stream, 0, all.min(NUMBERS / dim))))
    }

    /// What images are held out.
    fn held_out(&self, count: usize) -> Tensor {
        self.plan.measured(Part::HeldOut, 0, count)
    }

    fn holds_out(&self) -> bool {
        self.plan.data().rows(Part::HeldOut).is_some_and(|rows| rows > 0)
    }

    /// The distances of samples `[N, C, H, W]` of bytes from the nearest of `training` images, beside those of held-out images;
    /// where images are held out.
    pub(super) fn nearness(&self, samples: &Tensor, training: &TrainingImages) -> Result<Option<Block>> {
        if !self.holds_out() {
            return Ok(None);
        }
        let held_out = self.plan.data().restore(&self.held_out(HELD_OUT));
        let [near, far] = [samples, &held_out].map(|images| training.neighbors(images));
        let p = Memorisation::QUANTILE;
        let found = Nearness::new(near, far, p);
        let distances = |neighbours: &[Neighbor]| neighbours.iter().map(|neighbour| neighbour.distance).collect();
        let figure = NearestDistances {
            x_label: "root mean square difference from the nearest training image, of 255 levels".into(),
            held_out: distances(&found.held_out),
            samples: distances(&found.samples),
            threshold: Some((found.threshold, "1 in 20 held-out images is nearer".into())),
            ..NearestDistances::default()
        };
        let verdict = match found.interval {
            interval if interval.low > p => "more than chance: some samples are copies, or nearly",
            interval if interval.high < p => "less than chance: samples are farther from all data than data are",
            _ => "as many as chance brings: no sign of copies",
        };
        let share = |value: f64| format!("{:.1} %", 100.0 * value);
        let caption = format!(
            "How far the nearest of {} training images is, in pixels, for {} samples and {} held-out images. {} of the samples \
             (95 % interval {} to {}) are nearer than {} of the held-out images are, {verdict}. Copies that are shifted or \
             mirrored are not near in pixels.",
            training.images.size()[0],
            found.samples.len(),
            found.held_out.len(),
            share(found.share),
            share(found.interval.low),
            share(found.interval.high),
            share(p),
        );
        self.block(&figure, "nearness", caption).map(Some)
    }

    /// A classifier of the data, if the experiment names one or one was trained.
    fn classifier(&self) -> Option<ImageClassifier> {
        let spec = self.plan.spec.compare.as_ref();
        let named = spec.and_then(|compare| compare.features.as_deref()).map(Path::new);
        let folder: PathBuf = named.map_or_else(|| features_folder(self.plan), Path::to_owned);
        let classifier = ImageClassifier::load(&folder).ok()?;
        classifier.fits(&**self.plan.data()).ok().map(|()| classifier)
    }

    /// How often each class comes among samples `[N, C, H, W]` of bytes and among held-out images, where there is a classifier
    /// that says so.
    pub(super) fn classes(&self, samples: &Tensor) -> Result<Option<Block>> {
        let Some(classifier) = self.classifier() else { return Ok(None) };
        let looked = |images: &Tensor| -> Result<Vec<usize>> {
            let seen = extract(&classifier, images, &self.plan.compute.workers, &|_| Ok(()))?;
            Ok(metric::predicted(seen.logits.expect("a classifier has logits").view()))
        };
        let ours = looked(&(samples.to_kind(Kind::Float) / 127.5 - 1.0))?;
        let theirs = looked(&self.held_out(CLASSIFIED))?;
        let names = self.plan.data().classes();
        let shares = metric::ClassShares::of(&ours, &theirs, classifier.classes());
        let row = |(class, label): (usize, &String)| {
            let of = |labels: &[usize]| Share::of(labels.iter().filter(|&&k| k == class).count(), labels.len());
            let both = [of(&theirs), of(&ours)];
            ClassRow {
                label: label.clone(),
                shares: both.map(|share| share.value),
                intervals: both.map(|share| Some(share.interval)),
            }
        };
        let data = if self.holds_out() { "held-out images" } else { "training images" };
        let figure = ClassShares {
            x_label: "share of images, as the classifier sees them".into(),
            names: [data, "samples"].map(str::to_owned),
            rows: names.iter().enumerate().map(row).collect(),
            ..ClassShares::default()
        };
        let accuracy = self.asked(ours.len()).map_or(String::new(), |asked| {
            let Share { value, interval, .. } = metric::class_accuracy(&ours, &asked);
            let percent = |share: f64| format!("{:.1} %", 100.0 * share);
            format!(
                " {} of the samples ({} to {}) are taken for the class asked for, {} of \
                 images that the classifier has not seen for their own.",
                percent(value),
                percent(interval.low),
                percent(interval.high),
                percent(classifier.card.accuracy.value)
            )
        });
        let caption = format!(
            "How often each class comes among {} samples and {} {data}, both as the classifier of the data takes them, with \
             Wilson's 95 % intervals. Total variation {:.2}, where equal laws have {:.2} by chance; χ² test of equal laws: p = {}.\
             {accuracy}",
            ours.len(),
            theirs.len(),
            shares.total_variation,
            shares.total_variation_floor,
            if shares.p < 0.01 { format!("{:.0e}", shares.p) } else { format!("{:.2}", shares.p) },
        );
        self.block(&figure, "classes", caption).map(Some)
    }

    /// The class that each of the first samples was asked to be of, if any was.
    fn asked(&self, count: usize) -> Option<Vec<usize>> {
        let label = self.plan.asked().narrow(0, count as i64).label?;
        Some(tensor::to_array(&label).iter().map(|&class| class as usize).collect())
    }
}

/// Images as rows of numbers `[N, D]`.
fn rows(images: &Tensor) -> Tensor {
    images.to_kind(Kind::Float).flatten(1, -1)
}

/// Training images, laid out to be searched.
pub(super) struct TrainingImages {
    /// As bytes `[T, C, H, W]`.
    pub(super) images: Tensor,
    rows: Tensor,
    /// ‖b‖² of each `[1, T]`.
    norms: Tensor,
}

impl TrainingImages {
    fn new(images: Tensor) -> Self {
        let rows = rows(&images);
        let norms = rows.square().sum_dim_intlist(1, false, Kind::Float).unsqueeze(0);
        TrainingImages { images, rows, norms }
    }

    /// The places `[N, count]` of the images that are nearest to `images` `[N, C, H, W]`, the nearest first.
    pub(super) fn nearest(&self, images: &Tensor, count: i64) -> Tensor {
        let points = rows(images);
        let block = |start: i64| {
            let points = points.narrow(0, start, SOUGHT.min(points.size()[0] - start));
            // ‖a − b‖² = ‖a‖² − 2 a·b + ‖b‖², of which the first does not matter to who is nearest.
            (&self.norms - points.matmul(&self.rows.tr()) * 2.0).topk(count, 1, false, true).1
        };
        Tensor::cat(&(0..points.size()[0]).step_by(SOUGHT as usize).map(block).collect::<Vec<_>>(), 0)
    }

    /// The nearest image to each of `images` `[N, C, H, W]`, by the root mean square difference.
    fn neighbors(&self, images: &Tensor) -> Vec<Neighbor> {
        let index = self.nearest(images, 1).squeeze_dim(1);
        // Of a copy the difference of squares would be nothing but round-off.
        let difference = rows(images) - self.rows.index_select(0, &index);
        let square = difference.square().mean_dim(1, false, Kind::Double);
        let neighbor = |(index, square): (&f64, &f64)| Neighbor { index: *index as usize, distance: square.sqrt() };
        tensor::to_array(&index).iter().zip(&tensor::to_array(&square)).map(neighbor).collect()
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn the_nearest_is_found_and_a_copy_is_at_nothing() {
        let options = (Kind::Float, Device::Cpu);
        let training = Tensor::arange(300 * 4, options).view([300, 4]);
        let points = Tensor::cat(&[&training.narrow(0, 7, 200), &(training.narrow(0, 3, 1) + 1.0)], 0);
        let found = TrainingImages::new(training).neighbors(&points);
        assert_eq!(found.len(), 201);
        for (i, neighbour) in found.iter().enumerate().take(200) {
            assert_eq!((neighbour.index, neighbour.distance), (i + 7, 0.0));
        }
        assert_eq!((found[200].distance, found[200].index), (1.0, 3));
    }
}
