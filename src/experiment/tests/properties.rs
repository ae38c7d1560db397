//! Properties: what is written is read as the same, every node is found, and no text makes the reader panic.

use super::{TWO_MOONS, parse};
use crate::experiment::locate::{Step, line};
use crate::experiment::tree::Tree;
use crate::experiment::{
    BoundSpec, ChainSpec, Classes, CompareSpec, ContinuousSpec, DataSpec, DivergenceSpec, EmpiricalModel, Entry,
    GridSpec, LearnedModel, LikelihoodSpec, MetricSpec, ModelSpec, NetworkSpec, Noise, NoiseLevelSpec,
    PredictorCorrector, SampleSpec, SdeSpec, SolverSpec, Spec, TimeSpec, TrainSpec,
};
use crate::{data, likelihood, metric, model, sde, solve, train};
use proptest::option;
use proptest::prelude::*;

fn column() -> impl Strategy<Value = data::Column> {
    prop_oneof![any::<String>().prop_map(data::Column::Name), (0usize..1000).prop_map(data::Column::Position)]
}

fn cell() -> impl Strategy<Value = data::Cell> {
    prop_oneof![any::<String>().prop_map(data::Cell::Text), (-1e6..1e6).prop_map(data::Cell::Number)]
}

fn prepare() -> impl Strategy<Value = data::Prepare> {
    let class =
        prop_oneof![any::<String>().prop_map(data::Class::Name), (0usize..1000).prop_map(data::Class::Position)];
    let augment =
        (0.0..1.0, option::of(0.0..1.0)).prop_map(|(p, y_flip)| data::Augment { p, y_flip, ..Default::default() });
    (option::of(class), option::of(1usize..1000), option::of(1usize..4096), option::of(augment), any::<bool>())
        .prop_map(|(class, limit, pad, augment, flip)| data::Prepare {
            classes: class.map(|class| vec![class]),
            limit,
            pad,
            flip: flip && augment.is_none(),
            augment,
        })
}

fn images() -> impl Strategy<Value = DataSpec> {
    let file = || any::<String>().prop_map(|name| name + "x");
    prop_oneof![
        (file(), prepare())
            .prop_map(|(folder, prepare)| DataSpec::FashionMnist(data::FashionMnist { folder, prepare })),
        (file(), prepare()).prop_map(|(folder, prepare)| DataSpec::Mnist(data::Mnist { folder, prepare })),
        (option::of(file()), any::<u64>(), prepare()).prop_map(|(file, split_seed, prepare)| {
            let files = file.map(|file| vec![file]);
            DataSpec::Cifar10(data::Cifar10 {
                files,
                test: Some(Vec::new()),
                split_seed,
                prepare,
                ..Default::default()
            })
        }),
        (file(), option::of(file()), option::of(0.0..0.99), prepare()).prop_map(
            |(images, labels, validation, prepare)| {
                DataSpec::Idx(data::Idx { images, labels, validation, prepare, ..Default::default() })
            }
        ),
        (file(), cell(), option::of(1usize..4096), 0.0..0.99, prepare()).prop_map(
            |(path, cell, size, validation, prepare)| {
                let filter = [("tone".to_owned(), cell)].into();
                let captions = Some("lines.jsonl".to_owned());
                DataSpec::Images(data::ImageFiles {
                    path,
                    size,
                    captions,
                    filter,
                    validation,
                    prepare,
                    ..Default::default()
                })
            }
        ),
        (1usize..5, 1usize..300, -2.0..0.0).prop_map(|(channels, height, black)| {
            DataSpec::ImageShape(data::ImageShape { channels, height, black, ..Default::default() })
        }),
        (file(), option::of(file()), prepare()).prop_map(|(array, labels, prepare)| {
            let array = Some(array);
            DataSpec::ImageArray(data::ImageArray {
                file: "a.npz".into(),
                array,
                labels,
                prepare,
                ..Default::default()
            })
        }),
    ]
}

fn data() -> impl Strategy<Value = DataSpec> {
    prop_oneof![
        images(),
        (0.0..1.0).prop_map(|noise| DataSpec::TwoMoons(data::TwoMoons { noise })),
        Just(DataSpec::Checkerboard(Default::default())),
        prop::collection::vec((-1e3..1e3, 0.0..1e3), 1..5).prop_map(|entries| {
            let (mean, spectrum) = entries.into_iter().unzip();
            DataSpec::Gaussian(data::Gaussian { mean, spectrum: Some(spectrum), covariance: None })
        }),
        (column(), column(), cell(), 0.0..0.99).prop_map(|(first, second, cell, validation)| {
            DataSpec::Table(data::Table {
                file: "a.csv".into(),
                columns: (first != second).then_some(vec![first, second]),
                filter: [("kind".to_owned(), cell)].into(),
                validation,
                ..Default::default()
            })
        }),
        (0.01..0.99, -1.0..1.0).prop_map(|(weight, c)| {
            DataSpec::GaussianMixture(data::GaussianMixture {
                weights: vec![weight, 1.0 - weight],
                means: vec![vec![c, 0.0], vec![0.0, c]],
                covariances: vec![vec![vec![1.0, c], vec![c, 1.0]]; 2],
            })
        }),
    ]
}

fn sde() -> impl Strategy<Value = SdeSpec> {
    prop_oneof![
        (0.01..1.0, 5.0..50.0).prop_map(|(beta_min, beta_max)| SdeSpec::Vp(sde::Vp {
            beta_min,
            beta_max,
            ..Default::default()
        })),
        Just(SdeSpec::Ve(Default::default())),
        Just(SdeSpec::Flow(Default::default())),
    ]
}

fn solver() -> impl Strategy<Value = SolverSpec> {
    let plain = prop_oneof![
        (0.0..1.0).prop_map(|eta| SolverSpec::Ddim(solve::Ddim { eta })),
        Just(SolverSpec::EdmHeun(Default::default())),
        Just(SolverSpec::Heun(Default::default())),
        (option::of(1e-9..1.0), option::of(1e-9..1.0))
            .prop_map(|(rtol, atol)| SolverSpec::Dopri5(solve::Dopri5 { rtol, atol })),
    ];
    (plain, any::<bool>()).prop_map(|(predictor, corrected)| {
        // A corrector needs a grid.
        if !corrected || predictor.chosen().tolerance().is_some() {
            return predictor;
        }
        let predictor = Box::new(predictor);
        SolverSpec::PredictorCorrector(PredictorCorrector { predictor, ..Default::default() })
    })
}

/// A grid and a number of steps that goes with it.
fn grid() -> impl Strategy<Value = (GridSpec, usize)> {
    prop_oneof![
        (0.5..10.0, 1usize..1000).prop_map(|(rho, steps)| (GridSpec::Karras(solve::Karras { rho }), steps)),
        Just((GridSpec::LogSnr(Default::default()), 20)),
        prop::collection::btree_set(10_000u32..900_000, 2..6).prop_map(|times| {
            // Times of every process here.
            let times: Vec<_> = times.into_iter().rev().map(|time| f64::from(time) / 1e6).collect();
            let steps = times.len() - 1;
            (GridSpec::Explicit(solve::Explicit(times)), steps)
        }),
    ]
}

fn model() -> impl Strategy<Value = ModelSpec> {
    let learned = (1usize..1000, option::of(0.01..10.0), any::<bool>()).prop_map(|(width, sigma_data, half)| {
        let precision = if half { model::Precision::Bfloat16 } else { model::Precision::Float32 };
        let network = NetworkSpec::Mlp(model::Mlp { width, ..Default::default() });
        let chain = model::TimeStep { num_train_timesteps: width + 1, ..Default::default() };
        ModelSpec::Learned(LearnedModel {
            network,
            predict: model::Prediction::Velocity,
            sigma_data,
            precision,
            input: if width % 2 == 0 { model::Input::Exploding } else { model::Input::UnitVariance },
            noise_level: if width % 3 == 0 { NoiseLevelSpec::TimeStep(chain) } else { NoiseLevelSpec::default() },
            fourier_features: model::FourierFeatures(vec![1.5; width % 3]),
        })
    });
    let transformer = (1usize..100, option::of(1usize..1000)).prop_map(|(depth, num_classes)| {
        let network = NetworkSpec::Dit(model::Dit { depth, num_classes, ..Default::default() });
        ModelSpec::Learned(LearnedModel { network, ..Default::default() })
    });
    let empirical = (1usize..10_000).prop_map(|points| ModelSpec::Empirical(EmpiricalModel { points }));
    prop_oneof![Just(ModelSpec::Exact), empirical, learned, transformer]
}

fn training() -> impl Strategy<Value = TrainSpec> {
    (1usize..1_000_000, option::of(1e-3..1e3), -3.0..3.0, any::<bool>()).prop_map(|(steps, clip, mean, uniform)| {
        let time = match uniform {
            true => TimeSpec::Uniform(Default::default()),
            false => TimeSpec::LogNormal(train::LogNormal { mean, ..Default::default() }),
        };
        TrainSpec { steps, clip, time, ..Default::default() }
    })
}

fn compare() -> impl Strategy<Value = CompareSpec> {
    let entries = prop::collection::btree_map(".{0,12}", (solver(), option::of(any::<bool>())), 1..4);
    let nfe = prop::collection::btree_set(1usize..1000, 1..6);
    (entries, nfe, option::of(0.01..10.0), option::of(4usize..100)).prop_map(|(entries, nfe, bandwidth, count)| {
        CompareSpec {
            entries: entries
                .into_iter()
                .map(|(label, (solver, denoise))| Entry {
                    solver,
                    grid: Some(GridSpec::LogSnr(Default::default())),
                    label: Some(label),
                    nfe: denoise.map(|_| vec![5, 9]),
                    denoise,
                })
                .collect(),
            nfe: nfe.into_iter().collect(),
            metrics: vec![MetricSpec::Mmd(metric::Mmd { bandwidth }), MetricSpec::EnergyDistance(Default::default())],
            features: count.map(|count| format!("{count}")),
            repeats: 3,
            count,
        }
    })
}

fn likelihood() -> impl Strategy<Value = LikelihoodSpec> {
    let divergence = prop_oneof![
        Just(DivergenceSpec::Exact(Default::default())),
        (1usize..9).prop_map(|probes| DivergenceSpec::Hutchinson(likelihood::Hutchinson {
            probes,
            law: likelihood::Probes::Gaussian
        })),
        (1usize..9).prop_map(|third| DivergenceSpec::HutchPp(likelihood::HutchPp {
            products: 3 * third,
            ..Default::default()
        })),
    ];
    let bound = prop_oneof![
        (1usize..100).prop_map(|steps| BoundSpec::Chain(ChainSpec { steps, ..Default::default() })),
        (1usize..100).prop_map(|draws| BoundSpec::Continuous(ContinuousSpec { draws })),
    ];
    let tolerances = prop::collection::vec(1e-9..1e-1, 0..3);
    (2usize..1000, 1usize..9, option::of(divergence), option::of(bound), tolerances).prop_map(
        |(count, draws, divergence, bound, tolerances)| {
            let lift = (count % 2 == 0).then_some(likelihood::Lift::Decoder);
            LikelihoodSpec { count, draws, lift, divergence, bound, tolerances, ..Default::default() }
        },
    )
}

fn spec() -> impl Strategy<Value = Spec> {
    let words = ("[a-z0-9][a-z0-9_-]{0,12}", option::of(any::<String>()), any::<u64>());
    let class = prop_oneof![".{1,8}".prop_map(data::Class::Name), (0usize..100).prop_map(data::Class::Position)];
    let classes = option::of(prop::collection::vec(class, 1..4).prop_map(Classes));
    let sample = (solver(), grid(), any::<bool>(), classes).prop_map(|(solver, (grid, steps), denoise, class)| {
        SampleSpec { class, solver, grid, steps: Some(steps), denoise, noise: Noise::Brownian, ..Default::default() }
    });
    let measured = (option::of(compare()), option::of(likelihood()));
    (words, data(), sde(), model(), training(), sample, measured).prop_map(
        |((name, description, seed), data, sde, mut model, train, mut sample, (mut compare, likelihood))| {
            let mut train = matches!(model, ModelSpec::Learned(_)).then_some(train);
            match &model {
                ModelSpec::Learned(model) if model.network.is_told_classes() => {
                    train.as_mut().expect("a network").gradient_checkpointing = true;
                }
                _ => sample.class = None,
            }
            let known = DataSpec::EightGaussians(Default::default());
            let data = if train.is_none() && data.without_files().ok().flatten().is_none_or(|data| data.law().is_none())
            {
                known
            } else {
                data
            };
            if let DataSpec::ImageShape(_) = data {
                // There is nothing to measure σ_data on, and nothing to compare with.
                if let ModelSpec::Learned(model) = &mut model {
                    model.sigma_data = Some(0.5);
                }
                compare = None;
            }
            Spec { name, description, seed, data, sde, model, train, sample, compare, likelihood }
        },
    )
}

/// Asserts that every node of a tree is found on the line that its own key starts.
fn every_node_is_found(text: &str, tree: &Tree, node: &Tree, way: &mut Vec<Step>) {
    if let Some(step) = way.last() {
        let found = text.lines().nth(line(text, tree, way).unwrap() - 1).unwrap().trim_start_matches([' ', '-']);
        if let Step::Key(key) = step {
            assert!(found.starts_with(&format!("{key}:")), "{way:?} is not on the line {found:?}");
        }
    }
    let children: Vec<_> = match node {
        Tree::Map(entries) => entries.iter().map(|(key, child)| (Step::Key(key.clone()), child)).collect(),
        Tree::List(items) => items.iter().enumerate().map(|(i, child)| (Step::Index(i), child)).collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        way.push(step);
        every_node_is_found(text, tree, child, way);
        way.pop();
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(spec in spec()) {
        let text = spec.to_yaml();
        prop_assert_eq!(parse(&text, &[]), Ok(spec), "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        start in 0..TWO_MOONS.len(),
        length in 0usize..40,
        new in "[ \t\n{}\\[\\]:,*&!|'\"#a-z0-9-]{0,8}",
    ) {
        let end = (start + length).min(TWO_MOONS.len());
        let text = format!("{}{new}{}", &TWO_MOONS[..start], &TWO_MOONS[end..]);
        if let Err(message) = parse(&text, &[]) {
            prop_assert!(message.starts_with("moons.yaml:"), "{}", message);
        }
    }

    #[test]
    fn no_override_makes_the_reader_panic(
        place in "[a-z.\\[\\]0-9]{0,12}|(train|sde|compare)[.a-z0-9\\[\\]]{0,12}",
        value in "[ {}\\[\\]:,*&a-z0-9-]{0,8}",
    ) {
        let text = format!("{place}={value}");
        if let Err(message) = parse(TWO_MOONS, &[&text]) {
            prop_assert!(message.starts_with("--set "), "{}", message);
        }
    }
}

#[test]
fn every_line_of_a_written_experiment_is_found() {
    let text = parse(TWO_MOONS, &[]).unwrap().to_yaml();
    let tree: Tree = serde_yaml::from_str(&text).unwrap();
    every_node_is_found(&text, &tree, &tree, &mut Vec::new());
}

#[test]
fn a_node_that_is_not_there_is_sought_at_its_nearest_parent() {
    let tree: Tree = serde_yaml::from_str(TWO_MOONS).unwrap();
    let key = |name: &str| Step::Key(name.to_owned());
    let found = |way: &[Step]| line(TWO_MOONS, &tree, way);
    assert_eq!(
        found(&[key("compare"), key("entries"), Step::Index(2), key("solver"), key("heun"), key("x")]),
        Some(18)
    );
    assert_eq!(found(&[key("compare"), key("entries"), Step::Index(7)]), Some(15));
    assert_eq!(found(&[key("train"), Step::Index(7)]), Some(8));
    assert_eq!(found(&[key("nowhere")]), None);
}

#[test]
fn aliases_are_followed() {
    let text = "\
name: x
data: checkerboard
sde: vp
model: exact
sample: {solver: &s
  {heun: {x: 1}}}
compare:
  entries: [{solver: *s}]
  nfe: [1]
";
    let message = parse(text, &[]).unwrap_err();
    assert!(message.starts_with("moons.yaml:6: sample.solver.heun: unknown key `x`"), "{message}");
}
