//! Everything that an experiment may choose by name. The settings of each live beside its implementation; to offer one
//! more takes one line here.

use super::around::{PredictorCorrector, Restart};
use super::choice::choice;
use super::likelihood_spec::{ChainSpec, ContinuousSpec};
use crate::{data, grids, likelihood, metric, model, sde, solve, train};

choice! {
    /// The data to learn and to compare with.
    pub enum DataSpec ("data set") {
        /// Two interleaved half circles in the plane.
        two_moons => TwoMoons(data::TwoMoons),
        /// Eight narrow Gaussians on a circle.
        eight_gaussians => EightGaussians(data::EightGaussians),
        /// The black squares of a checkerboard.
        checkerboard => Checkerboard(data::Checkerboard),
        /// A spiral.
        swiss_roll => SwissRoll(data::SwissRoll),
        /// Two concentric circles.
        circles => Circles(data::Circles),
        /// Concentric rings.
        rings => Rings(data::Rings),
        /// Bent arms around the origin.
        pinwheel => Pinwheel(data::Pinwheel),
        /// Spiral arms from the origin.
        spirals => Spirals(data::Spirals),
        /// A sheet in the form of an S, in space or its section in the plane.
        s_curve => SCurve(data::SCurve),
        /// Neal's funnel, in any dimension.
        funnel => Funnel(data::Funnel),
        /// Narrow Gaussians on a square grid.
        gaussian_grid => GaussianGrid(data::GaussianGrid),
        /// Gaussians on random orthogonal axes in many dimensions.
        orthogonal_mixture => OrthogonalMixture(data::OrthogonalMixture),
        /// A curve or surface embedded in many dimensions.
        manifold => Manifold(data::Manifold),
        /// One Gaussian of any dimension.
        gaussian => Gaussian(data::Gaussian),
        /// The Gaussian with the covariance of CIFAR-10, in 3,072 dimensions.
        cifar10_gaussian => Cifar10Gaussian(data::Cifar10Gaussian),
        /// A weighted sum of Gaussians.
        gaussian_mixture => GaussianMixture(data::GaussianMixture),
        /// Rows of a CSV, TSV, NPY or NPZ file.
        table => Table(data::Table),
        /// Fashion-MNIST: clothing, 28×28, grey.
        fashion_mnist => FashionMnist(data::FashionMnist),
        /// MNIST: handwritten digits, 28×28, grey.
        mnist => Mnist(data::Mnist),
        /// CIFAR-10: photographs, 32×32, in colour.
        cifar10 => Cifar10(data::Cifar10),
        /// Images in IDX files.
        idx => Idx(data::Idx),
        /// PNG and JPEG files in a folder or a zip archive.
        images => Images(data::ImageFiles),
        /// Images in a NPY or NPZ file.
        image_array => ImageArray(data::ImageArray),
        /// Images of which the shape is known and no example.
        image_shape => ImageShape(data::ImageShape),
    }
}

choice! {
    /// The process that turns data into noise.
    pub enum SdeSpec ("SDE") {
        /// Variance preserving, with a linear schedule.
        vp => Vp(sde::Vp),
        /// Variance preserving in the limit, and below it before.
        sub_vp => SubVp(sde::SubVp),
        /// Variance exploding, with a geometric schedule.
        ve => Ve(sde::Ve),
        /// Variance exploding, with the noise level as time.
        edm => Edm(sde::Edm),
        /// Variance preserving, with a cosine schedule.
        cosine => Cosine(sde::Cosine),
        /// Straight lines from data to noise: flow matching.
        flow => Flow(sde::Flow),
    }
}

choice! {
    /// The network that is trained.
    pub enum NetworkSpec ("network") {
        /// A multilayer perceptron, for points in a few dimensions.
        mlp => Mlp(model::Mlp),
        /// A U-Net, for images.
        unet => Unet(model::Unet),
        /// A diffusion transformer, for images.
        dit => Dit(model::Dit),
    }
}

choice! {
    /// How the network is told the noise level.
    pub enum NoiseLevelSpec ("noise level") {
        /// A quarter of the logarithm of σ/α (EDM).
        quarter_log => QuarterLog(model::QuarterLog),
        /// The logarithm of σ/α (NCSN++).
        log => Log(model::Log),
        /// The step of a discrete chain (DDPM) at which σ/α is the same.
        time_step => TimeStep(model::TimeStep),
    }
}

choice! {
    /// The law from which training draws its times.
    pub enum TimeSpec ("law of time") {
        /// Every time equally often.
        uniform => Uniform(train::UniformTime),
        /// Every logarithm of the signal-to-noise ratio equally often.
        log_snr => LogSnr(train::UniformLogSnr),
        /// The logarithm of the noise level is normal.
        log_normal => LogNormal(train::LogNormal),
        /// In proportion to the weighting, and corrected: the objective is that of uniform times, with less variance.
        importance => Importance(train::Importance),
    }
}

choice! {
    /// The weight of each time in the loss.
    pub enum WeightingSpec ("weighting") {
        /// By the error in ε: σ² on the score.
        simple => Simple(train::Simple),
        /// g² on the score, which bounds the likelihood.
        likelihood => Likelihood(train::Likelihood),
        /// By the error of EDM's target.
        edm => Edm(train::EdmWeighting),
        /// The signal-to-noise ratio, cut at a value.
        min_snr => MinSnr(train::MinSnr),
        /// Less weight on low noise.
        p2 => P2(train::P2),
        /// By the error in x₀.
        uniform => Uniform(train::Unweighted),
    }
}

choice! {
    /// How the learning rate changes after warm-up.
    pub enum ScheduleSpec ("schedule") {
        /// It stays.
        constant => Constant(train::Constant),
        /// It falls like half a cosine.
        cosine => Cosine(train::Cosine),
        /// It falls like 1/√step.
        inverse_sqrt => InverseSqrt(train::InverseSqrt),
    }
}

choice! {
    /// A moving average of the parameters.
    pub enum EmaSpec ("moving average") {
        /// Exponential, by its half-life in steps.
        half_life => HalfLife(train::HalfLife),
        /// By a power of the step: its width grows with the training.
        power => Power(train::Power),
    }
}

choice! {
    /// The optimiser.
    pub enum OptimizerSpec ("optimizer") {
        /// Adam with decoupled weight decay.
        adamw => AdamW(train::AdamW),
    }
}

choice! {
    /// The solver that turns noise into samples.
    pub enum SolverSpec ("solver") as dyn solve::Recipe {
        /// Euler–Maruyama on the reverse SDE.
        euler_maruyama => EulerMaruyama(solve::EulerMaruyama),
        /// The reverse diffusion sampler on the reverse SDE.
        reverse_diffusion => ReverseDiffusion(solve::ReverseDiffusion),
        /// The exponential integrator that holds the score.
        exponential_integrator => ExponentialIntegrator(solve::ExponentialIntegrator),
        /// Ancestral sampling.
        ancestral => Ancestral(solve::Ancestral),
        /// DDIM, deterministic or stochastic.
        ddim => Ddim(solve::Ddim),
        /// Euler on the probability-flow ODE.
        euler => Euler(solve::Euler),
        /// Heun on the probability-flow ODE.
        heun => Heun(solve::Heun),
        /// The classical Runge–Kutta method on the probability-flow ODE.
        rk4 => Rk4(solve::Rk4),
        /// Bogacki–Shampine 3(2) on the probability-flow ODE.
        bosh3 => Bosh3(solve::Bosh3),
        /// Dormand–Prince 5(4) on the probability-flow ODE.
        dopri5 => Dopri5(solve::Dopri5),
        /// Stochastic improved Euler on the reverse SDE, under error control.
        gotta_go_fast => GottaGoFast(solve::GottaGoFast),
        /// DPM-Solver-12 or -23 on the probability-flow ODE, under error control.
        dpm_adaptive => DpmAdaptive(solve::DpmAdaptive),
        /// The stochastic Heun sampler of EDM.
        edm_heun => EdmHeun(solve::EdmHeun),
        /// DPM-Solver++(2M), multistep.
        dpmpp_2m => Dpmpp2m(solve::Dpmpp2m),
        /// DPM-Solver++(3M), multistep.
        dpmpp_3m => Dpmpp3m(solve::Dpmpp3m),
        /// DPM-Solver++(2M) on the reverse SDE.
        dpmpp_2m_sde => Dpmpp2mSde(solve::Dpmpp2mSde),
        /// DPM-Solver++(3M) on the reverse SDE.
        dpmpp_3m_sde => Dpmpp3mSde(solve::Dpmpp3mSde),
        /// DPM-Solver of order two, multistep.
        dpm_solver_2m => DpmSolver2m(solve::DpmSolver2m),
        /// DPM-Solver of order three, multistep.
        dpm_solver_3m => DpmSolver3m(solve::DpmSolver3m),
        /// DPM-Solver of order two, multistep, on the reverse SDE.
        dpm_solver_2m_sde => DpmSolver2mSde(solve::DpmSolver2mSde),
        /// UniPC: a predictor with a corrector that costs nothing.
        unipc => UniPc(solve::UniPc),
        /// DEIS: Adams–Bashforth on the noise prediction.
        deis => Deis(solve::Deis),
        /// The linear multistep method in the noise level.
        lms => Lms(solve::Lms),
        /// iPNDM: averages of the last noise predictions.
        ipndm => Ipndm(solve::Ipndm),
        /// Exponential Adams of any order, for any prediction and stochasticity.
        exp_adams => ExpAdams(solve::ExpAdams),
        /// SA-Solver: stochastic Adams, predictor and corrector.
        sa_solver => SaSolver(solve::SaSolver),
        /// ER-SDE: multistep on an SDE with a chosen noise scale.
        er_sde => ErSde(solve::ErSde),
        /// DPM-Solver-2, single-step.
        dpm_solver_2s => DpmSolver2s(solve::DpmSolver2s),
        /// DPM-Solver-3, single-step.
        dpm_solver_3s => DpmSolver3s(solve::DpmSolver3s),
        /// DPM-Solver++(2S), single-step.
        dpmpp_2s => Dpmpp2s(solve::Dpmpp2s),
        /// DPM-Solver++(3S), single-step.
        dpmpp_3s => Dpmpp3s(solve::Dpmpp3s),
        /// RES of order two, single-step.
        res_2s => Res2s(solve::Res2s),
        /// DPM-Solver-fast: single steps of order three, lower ones at the end.
        dpm_fast => DpmFast(solve::DpmFast),
        /// SEEDS-2: two stages on the reverse SDE.
        seeds_2 => Seeds2(solve::Seeds2),
        /// SEEDS-3: three stages on the reverse SDE.
        seeds_3 => Seeds3(solve::Seeds3),
        /// DPM-Solver++ SDE of k-diffusion: two ancestral stages.
        dpmpp_sde => DpmppSde(solve::DpmppSde),
        /// KDPM2: DPM-Solver-2 in the noise level.
        kdpm_2 => Kdpm2(solve::Kdpm2),
        /// KDPM2 down, then noise up.
        kdpm_2_ancestral => Kdpm2Ancestral(solve::Kdpm2Ancestral),
        /// Euler down, then noise up.
        euler_ancestral => EulerAncestral(solve::EulerAncestral),
        /// DPM-Solver++(2S) down, then noise up.
        dpmpp_2s_ancestral => Dpmpp2sAncestral(solve::Dpmpp2sAncestral),
        /// Stochastic Runge–Kutta of strong order 1.5.
        sra => Sra(solve::Sra),
        /// DDIM with extrapolated noise predictions.
        gradient_estimation => GradientEstimation(solve::GradientEstimation),
        /// Denoise and renoise, as consistency models do.
        renoise => Renoise(solve::Renoise),
        /// A predictor, and a corrector before each of its steps.
        predictor_corrector => PredictorCorrector(PredictorCorrector),
        /// A solver that jumps back to higher noise and comes down again.
        restart => Restart(Restart),
    }
}

choice! {
    /// The corrector that precedes each step of a predictor.
    pub enum CorrectorSpec ("corrector") {
        /// Langevin steps scaled by the norms of the score and of the noise.
        langevin => Langevin(solve::Langevin),
        /// Langevin steps scaled by the noise level.
        annealed_langevin => AnnealedLangevin(solve::AnnealedLangevin),
    }
}

choice! {
    /// The times at which a solver stops, from noise to data.
    pub enum GridSpec ("grid") {
        /// Equal distances in time.
        uniform => Uniform(solve::UniformGrid),
        /// Equal distances in the logarithm of the signal-to-noise ratio.
        log_snr => LogSnr(solve::LogSnr),
        /// Equal distances in a power of the noise level.
        karras => Karras(solve::Karras),
        /// Distances that shrink linearly towards the data.
        quadratic => Quadratic(solve::Quadratic),
        /// Equal distances in the time of rectified flow.
        rectified => Rectified(solve::Rectified),
        /// Times written out.
        explicit => Explicit(solve::Explicit),
        /// Grids of several numbers of steps, written out, as `ornstein grid` finds them.
        tabulated => Tabulated(solve::Tabulated),
    }
}

choice! {
    /// How the divergence of the probability flow is taken.
    pub enum DivergenceSpec ("divergence") {
        /// The sum of all diagonal elements of the Jacobian: as many backward passes as there are dimensions.
        exact => Exact(likelihood::ExactTrace),
        /// Hutchinson's estimate, by random probes.
        hutchinson => Hutchinson(likelihood::Hutchinson),
        /// Hutch++: exact where the Jacobian is large, and Hutchinson's estimate of the rest.
        hutch_pp => HutchPp(likelihood::HutchPp),
    }
}

choice! {
    /// A variational bound on the likelihood.
    pub enum BoundSpec ("bound") {
        /// That of a discrete chain, as DDPM's: L_T + Σ L_t + L_0.
        chain => Chain(ChainSpec),
        /// That of continuous time, estimated by random times.
        continuous => Continuous(ContinuousSpec),
    }
}

choice! {
    /// How `ornstein grid` finds a grid.
    pub enum GridMethodSpec ("grid method") {
        /// Dynamic programming over the nodes of a fine solution, with the solver's own steps.
        dp => Dp(grids::Dp),
        /// Align Your Steps: the bound on the divergence of the reverse SDE.
        klub => Klub(grids::Klub),
        /// The bound of Xue et al. from the weights of a multistep method, without a model.
        analytic => Analytic(grids::Analytic),
        /// The exact error of the solver on the Gaussian with the eigenvalues of the data.
        spectral => Spectral(grids::Spectral),
        /// Equal cost per step, from a density measured along trajectories.
        cost => Cost(grids::Cost),
        /// Descent of the error itself.
        direct => Direct(grids::Direct),
    }
}

choice! {
    /// A measure of how far samples are from data.
    pub enum MetricSpec ("metric") {
        /// The Wasserstein distance, averaged over directions.
        sliced_wasserstein => SlicedWasserstein(metric::SlicedWasserstein),
        /// The maximum mean discrepancy with a Gaussian kernel.
        mmd => Mmd(metric::Mmd),
        /// The energy distance.
        energy_distance => EnergyDistance(metric::EnergyDistance),
        /// The Wasserstein distance between Gaussians with the same moments: the root of the Fréchet distance.
        gaussian_wasserstein => GaussianWasserstein(metric::GaussianWasserstein),
        /// The Wasserstein distance along the direction where it is largest.
        max_sliced_wasserstein => MaxSlicedWasserstein(metric::MaxSlicedWasserstein),
        /// The Wasserstein distance by exact optimal transport, of up to 2,000 points.
        optimal_transport => OptimalTransport(metric::OptimalTransport),
        /// The fraction of the modes of the data that are hit.
        mode_coverage => ModeCoverage(metric::ModeCoverage),
        /// How far the weights of the modes are from the true ones.
        mode_weights => ModeWeights(metric::ModeWeights),
        /// How much better than by chance a classifier tells samples from data.
        classifier => Classifier(metric::Classifier),
        /// The Kullback–Leibler divergence of the samples from the data.
        kl => Kl(metric::Kl),
        /// How much more probable samples are than data.
        log_density => LogDensity(metric::LogDensity),
        /// The Wasserstein distance between what a solver makes of Gaussian data and what it should, both exact.
        law_wasserstein => LawWasserstein(metric::LawWasserstein),
        /// The distance from the exact solution of the probability-flow ODE, for solvers that draw no noise.
        trajectory_error => TrajectoryError(metric::TrajectoryError),
        /// The Fréchet distance of the features of images, FD∞ with `parts: 4`.
        frechet_distance => FrechetDistance(metric::FrechetDistance),
        /// The kernel distance of the features of images, which is unbiased.
        kernel_distance => KernelDistance(metric::KernelDistance),
        /// The share of samples that look like data, by features of images.
        precision => Precision(metric::Balls),
        /// The share of data that samples could look like, by features of images.
        recall => Recall(metric::Balls),
        /// How densely data lie where samples are, by features of images: precision that outliers do not raise.
        density => Density(metric::Balls),
        /// The share of data with a sample beside them, by features of images: recall that outliers do not raise.
        coverage => Coverage(metric::Balls),
        /// How often a classifier of the data takes a sample for the class that was asked for.
        class_accuracy => ClassAccuracy(metric::ClassAccuracy),
        /// How far the shares of the classes among samples are from those among data, to a classifier.
        class_balance => ClassBalance(metric::ClassBalance),
        /// How clear and how varied samples are to a classifier: the Inception Score where that is Inception-v3.
        inception_score => InceptionScore(metric::InceptionScore),
        /// The share of samples that are nearer to a training image than one held-out image in twenty is.
        memorisation => Memorisation(metric::Memorisation),
    }
}
