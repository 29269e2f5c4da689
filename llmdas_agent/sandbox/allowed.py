"""The names that programs may use: built-in functions, and what each module offers them.

Plain text: a reader can check it, and the parent can explain it without importing any of these modules.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

__all__ = [
    "BUILTINS",
    "EXCEPTIONS",
    "MODULES",
    "RENAMED",
    "SCIENTIFIC",
    "missing_member",
    "missing_module",
    "names",
]


def names(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


EXCEPTIONS = names(
    """
    ArithmeticError AssertionError AttributeError BaseException DeprecationWarning Exception
    FloatingPointError FutureWarning GeneratorExit ImportError IndexError KeyError KeyboardInterrupt
    LookupError MemoryError ModuleNotFoundError NameError NotImplementedError OSError OverflowError
    RecursionError RuntimeError RuntimeWarning StopIteration SystemExit TimeoutError TypeError
    UnboundLocalError UnicodeError UserWarning ValueError Warning ZeroDivisionError
    """
)

BUILTINS = EXCEPTIONS | names(
    """
    Ellipsis False None NotImplemented True abs all any bin bool callable chr complex dict divmod enumerate
    filter float format frozenset getattr hasattr hash hex int isinstance issubclass iter len list map max
    min next oct ord pow print range repr reversed round set slice sorted str sum tuple type zip
    """
)

_MATH = """
    acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2
    expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm
    ldexp lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt
    tan tanh tau trunc ulp
"""
_RANDOM = """
    Random betavariate choice choices expovariate gammavariate gauss getrandbits lognormvariate
    normalvariate paretovariate randint random randrange sample seed shuffle triangular uniform
    vonmisesvariate weibullvariate
"""
_ITERTOOLS = """
    accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse
    groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest
"""
_TYPING = """
    Any AnyStr Callable ClassVar Dict Final FrozenSet Generator Generic Hashable Iterable Iterator List
    Literal Mapping MutableMapping MutableSequence NamedTuple NewType NoReturn Optional Protocol Sequence
    Set Sized Tuple Type TypeAlias TypedDict TypeVar Union cast TYPE_CHECKING
"""
_NUMPY_TYPES = """
    ndarray dtype generic number integer signedinteger unsignedinteger inexact floating complexfloating bool
    bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp uintp int_ uint intc float16 float32
    float64 half single double longdouble float_ complex64 complex128 complex_ str_ ufunc finfo iinfo
    errstate
"""
_NUMPY_MAKING = """
    arange array asanyarray asarray ascontiguousarray asfortranarray block broadcast_arrays broadcast_shapes
    broadcast_to c_ concatenate concat copy diag diagflat empty empty_like eye full full_like fromfunction
    fromiter geomspace identity indices ix_ linspace logspace meshgrid mgrid ogrid ones ones_like r_ s_
    index_exp stack hstack vstack dstack column_stack row_stack tile repeat tri tril triu vander zeros
    zeros_like tril_indices triu_indices tril_indices_from triu_indices_from diag_indices diag_indices_from
    mask_indices
"""
_NUMPY_SHAPING = """
    append apply_along_axis apply_over_axes array_split atleast_1d atleast_2d atleast_3d delete dsplit
    expand_dims extract flatnonzero flip fliplr flipud hsplit insert moveaxis ndim ndenumerate ndindex
    nonzero pad permute_dims matrix_transpose place put put_along_axis putmask ravel ravel_multi_index
    reshape resize roll rollaxis rot90 searchsorted select shape size sort sort_complex split squeeze
    swapaxes take take_along_axis transpose trim_zeros unravel_index unstack vsplit where choose compress
    copyto fill_diagonal argpartition partition argsort lexsort argwhere astype
"""
_NUMPY_COMPUTING = """
    abs absolute acos acosh add all allclose amax amin angle any arccos arccosh arcsin arcsinh arctan
    arctan2 arctanh argmax argmin around array_equal array_equiv asin asinh atan atan2 atanh average
    bartlett bincount bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor blackman can_cast cbrt ceil clip common_type conj conjugate convolve
    copysign corrcoef correlate cos cosh count_nonzero cov cross cumprod cumsum cumulative_prod
    cumulative_sum deg2rad degrees diagonal diff digitize divide divmod dot ediff1d einsum einsum_path equal
    exp exp2 expm1 fabs fix float_power floor floor_divide fmax fmin fmod frexp gcd gradient greater
    greater_equal hamming hanning heaviside histogram histogram2d histogram_bin_edges histogramdd hypot i0
    imag in1d inner interp intersect1d invert isclose iscomplex iscomplexobj isdtype isfinite isin isinf
    isnan isneginf isposinf isreal isrealobj isscalar issubdtype kaiser kron lcm ldexp left_shift less
    less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor
    matmul matvec vecmat max maximum mean median min min_scalar_type minimum mod modf multiply nan_to_num
    nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod
    nanquantile nanstd nansum nanvar negative nextafter not_equal outer percentile piecewise poly polyadd
    polyder polydiv polyfit polyint polymul polysub polyval positive pow power prod promote_types ptp
    quantile rad2deg radians real real_if_close reciprocal remainder result_type right_shift rint roots
    round round_ seterr geterr setdiff1d setxor1d sign signbit sin sinc sinh spacing sqrt square std
    subtract sum tan tanh tensordot trace trapezoid trapz true_divide trunc union1d unique unique_all
    unique_counts unique_inverse unique_values unwrap var vdot vecdot vectorize frompyfunc shares_memory
    may_share_memory set_printoptions array2string array_str array_repr
"""
_NUMPY_CONSTANTS = "e euler_gamma inf nan newaxis pi Inf NaN NAN PINF infty True_ False_"
_NUMPY_LINALG = """
    LinAlgError cholesky cond cross det diagonal eig eigh eigvals eigvalsh inv lstsq matmul matrix_norm
    matrix_power matrix_rank matrix_transpose multi_dot norm outer pinv qr slogdet solve svd svdvals
    tensordot tensorinv tensorsolve trace vecdot vector_norm
"""
_NUMPY_RANDOM = """
    Generator RandomState beta binomial chisquare choice default_rng dirichlet exponential f gamma geometric
    gumbel hypergeometric laplace logistic lognormal logseries multinomial multivariate_normal
    negative_binomial noncentral_chisquare noncentral_f normal pareto permutation poisson power rand randint
    randn random random_integers random_sample ranf rayleigh sample seed shuffle standard_cauchy
    standard_exponential standard_gamma standard_normal standard_t triangular uniform vonmises wald weibull
    zipf
"""
_NUMPY_FFT = """
    fft fft2 fftfreq fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2
    rfftfreq rfftn
"""
_STATS_DISTRIBUTIONS = """
    alpha arcsine argus beta betaprime bradford burr burr12 cauchy chi chi2 cosine crystalball dgamma
    dweibull erlang expon exponnorm exponpow exponweib f fatiguelife fisk foldcauchy foldnorm gamma
    gausshyper genexpon genextreme gengamma genhalflogistic genhyperbolic geninvgauss genlogistic gennorm
    genpareto gompertz gumbel_l gumbel_r halfcauchy halfgennorm halflogistic halfnorm hypsecant
    invgamma invgauss invweibull jf_skew_t johnsonsb johnsonsu kappa3 kappa4 ksone kstwo kstwobign laplace
    laplace_asymmetric levy levy_l loggamma logistic loglaplace lognorm loguniform lomax maxwell mielke
    moyal nakagami ncf nct ncx2 norm norminvgauss pareto pearson3 powerlaw powerlognorm powernorm rayleigh
    rdist recipinvgauss reciprocal rice semicircular skewcauchy skewnorm t trapezoid triang truncexpon
    truncnorm truncpareto truncweibull_min tukeylambda uniform vonmises wald weibull_max weibull_min
    wrapcauchy bernoulli betabinom binom boltzmann dlaplace geom hypergeom logser nbinom planck poisson
    randint skellam zipf zipfian dirichlet multivariate_normal multivariate_t multinomial wishart invwishart
    ortho_group special_ortho_group random_correlation uniform_direction vonmises_fisher
"""
_STATS_FUNCTIONS = """
    anderson ansari bartlett binned_statistic binned_statistic_2d binned_statistic_dd bootstrap boxcox
    boxcox_normmax brunnermunzel chi2_contingency circmean circstd circvar combine_pvalues cramervonmises
    cumfreq describe differential_entropy entropy energy_distance ecdf epps_singleton_2samp f_oneway fligner
    friedmanchisquare gaussian_kde gmean gstd gzscore hmean iqr jarque_bera kendalltau kruskal ks_1samp
    ks_2samp kstat kstest kurtosis kurtosistest levene linregress mannwhitneyu median_abs_deviation
    median_test mode moment monte_carlo_test mood mvsdist normaltest obrientransform pearsonr
    percentileofscore permutation_test pointbiserialr power_divergence probplot qmc rankdata relfreq
    scoreatpercentile sem shapiro siegelslopes sigmaclip skew skewtest spearmanr theilslopes tiecorrect tmax
    tmean tmin trim1 trim_mean trimboth tsem tstd ttest_1samp ttest_ind ttest_rel tvar variation
    wasserstein_distance weightedtau wilcoxon yeojohnson yeojohnson_normmax zmap zscore
"""
_SPATIAL = "ConvexHull Delaunay KDTree Voronoi cKDTree distance distance_matrix procrustes tsearch"
_SPATIAL_DISTANCE = """
    braycurtis canberra cdist chebyshev cityblock correlation cosine dice directed_hausdorff euclidean
    hamming jaccard jensenshannon mahalanobis minkowski pdist rogerstanimoto russellrao seuclidean
    sokalsneath sqeuclidean squareform yule
"""
_SCIPY_LINALG = """
    LinAlgError block_diag cho_factor cho_solve cholesky circulant companion cosm det eig eigh eigvals
    eigvalsh expm fractional_matrix_power hadamard hankel helmert hessenberg hilbert inv khatri_rao ldl
    logm lstsq lu norm null_space orth orthogonal_procrustes pinv pinvh polar qr rq schur
    sinm solve solve_toeplitz solve_triangular sqrtm subspace_angles svd svdvals tanm toeplitz
"""
_SCIPY_SPECIAL = """
    bdtr beta betainc betaincinv betaln binom boxcox cbrt chdtr chdtrc chdtri comb cosdg digamma
    ellipe ellipk entr erf erfc erfcinv erfcx erfinv exp10 exp2 expi expit expm1 exprel
    factorial gamma gammainc gammaincc gammainccinv gammaincinv gammaln gammasgn hermite huber hyp1f1 hyp2f1
    i0 i1 inv_boxcox iv j0 j1 jn jv k0 k1 kl_div kn kv lambertw legendre log1p log_expit log_ndtr
    log_softmax logit logsumexp multigammaln ndtr ndtri nbdtr perm poch polygamma pseudo_huber psi rel_entr
    rgamma round sinc softmax stdtr stdtrit xlog1py xlogy y0 y1 yn yv zeta
"""
_SCIPY_OPTIMIZE = """
    Bounds LinearConstraint NonlinearConstraint bisect brent brentq brute check_grad curve_fit
    differential_evolution dual_annealing fixed_point fmin fmin_bfgs fmin_cg fmin_l_bfgs_b fmin_powell
    fminbound fsolve golden least_squares linear_sum_assignment linprog lsq_linear minimize minimize_scalar
    newton nnls ridder root root_scalar shgo toms748 basinhopping approx_fprime
"""
_SKLEARN_METRICS = """
    accuracy_score adjusted_mutual_info_score adjusted_rand_score auc average_precision_score
    balanced_accuracy_score calinski_harabasz_score confusion_matrix davies_bouldin_score
    euclidean_distances explained_variance_score f1_score fbeta_score log_loss max_error mean_absolute_error
    mean_squared_error median_absolute_error mutual_info_score nan_euclidean_distances
    normalized_mutual_info_score pairwise pairwise_distances pairwise_distances_argmin
    pairwise_distances_argmin_min precision_recall_curve precision_score r2_score recall_score roc_auc_score
    roc_curve silhouette_samples silhouette_score
"""
_SKLEARN_PAIRWISE = """
    additive_chi2_kernel chi2_kernel cosine_distances cosine_similarity euclidean_distances
    haversine_distances laplacian_kernel linear_kernel manhattan_distances nan_euclidean_distances
    pairwise_distances pairwise_distances_argmin pairwise_distances_argmin_min pairwise_kernels
    polynomial_kernel rbf_kernel sigmoid_kernel
"""

_TEXT = {
    "math": _MATH,
    "random": _RANDOM,
    "itertools": _ITERTOOLS,
    "functools": "cache lru_cache partial reduce wraps",
    "collections": "Counter OrderedDict defaultdict deque",
    "collections.abc": "Callable Iterable Iterator Mapping Sequence",
    "typing": _TYPING,
    "warnings": "catch_warnings filterwarnings simplefilter warn",
    "numpy": " ".join(
        [_NUMPY_TYPES, _NUMPY_MAKING, _NUMPY_SHAPING, _NUMPY_COMPUTING, _NUMPY_CONSTANTS, "linalg random fft"]
    ),
    "numpy.linalg": _NUMPY_LINALG,
    "numpy.random": _NUMPY_RANDOM,
    "numpy.fft": _NUMPY_FFT,
    "numpy.typing": "ArrayLike DTypeLike NDArray",
    "scipy": "linalg optimize spatial special stats",
    "scipy.stats": _STATS_DISTRIBUTIONS + _STATS_FUNCTIONS,
    "scipy.stats.qmc": "Halton LatinHypercube Sobol discrepancy scale",
    "scipy.spatial": _SPATIAL,
    "scipy.spatial.distance": _SPATIAL_DISTANCE,
    "scipy.linalg": _SCIPY_LINALG,
    "scipy.special": _SCIPY_SPECIAL,
    "scipy.optimize": _SCIPY_OPTIMIZE,
    "sklearn": "cluster covariance decomposition metrics mixture neighbors preprocessing",
    "sklearn.neighbors": """
        BallTree KDTree KNeighborsClassifier KNeighborsRegressor KernelDensity LocalOutlierFactor
        NearestCentroid NearestNeighbors kneighbors_graph radius_neighbors_graph""",
    "sklearn.decomposition": """
        FactorAnalysis FastICA IncrementalPCA KernelPCA MiniBatchSparsePCA NMF PCA SparsePCA TruncatedSVD""",
    "sklearn.covariance": """
        EllipticEnvelope EmpiricalCovariance GraphicalLasso LedoitWolf MinCovDet OAS ShrunkCovariance
        empirical_covariance ledoit_wolf oas shrunk_covariance""",
    "sklearn.cluster": """
        AgglomerativeClustering Birch BisectingKMeans DBSCAN HDBSCAN KMeans MeanShift MiniBatchKMeans OPTICS
        SpectralClustering estimate_bandwidth k_means kmeans_plusplus""",
    "sklearn.preprocessing": """
        Binarizer KBinsDiscretizer LabelEncoder MaxAbsScaler MinMaxScaler Normalizer OneHotEncoder
        OrdinalEncoder PolynomialFeatures PowerTransformer QuantileTransformer RobustScaler StandardScaler
        maxabs_scale minmax_scale normalize power_transform quantile_transform robust_scale scale""",
    "sklearn.mixture": "BayesianGaussianMixture GaussianMixture",
    "sklearn.metrics": _SKLEARN_METRICS,
    "sklearn.metrics.pairwise": _SKLEARN_PAIRWISE,
}

MODULES: dict[str, frozenset[str]] = {name: names(text) for name, text in _TEXT.items()}
"""What each module that a program may import offers it."""

RENAMED = {
    "Inf": "inf",
    "NAN": "nan",
    "NaN": "nan",
    "PINF": "inf",
    "complex_": "complex128",
    "float_": "float64",
    "in1d": "isin",
    "infty": "inf",
    "round_": "round",
    "row_stack": "vstack",
    "trapz": "trapezoid",
}
"""Names of numpy 1 that models still write, and what they are called now."""

SCIENTIFIC = frozenset(name for name in MODULES if name.startswith(("scipy", "sklearn")))
"""Modules that take seconds to import, and so are loaded only for programs that use them."""


def missing_module(name: str) -> tuple[str, str]:
    """Say that a module cannot be imported, and what can."""
    return f"module '{name}' cannot be imported", f"Allowed: {', '.join(MODULES)}"


def missing_member(module: str, name: str, offered: Collection[str] | None = None) -> tuple[str, str]:
    """Say that a module does not offer a name here, and which ones are near.

    Parameters
    ----------
    module, name : str
        What was asked for.
    offered : collection of str, optional
        What the module has in the versions at hand, when they are.
    """
    offered = MODULES[module] if offered is None else offered
    near = difflib.get_close_matches(name, offered, n=3, cutoff=0.6)
    if near:
        hint = f"Near names that it has: {', '.join(near)}"
    elif len(offered) <= 40:
        hint = f"It has: {', '.join(sorted(offered))}"
    else:
        hint = "Only functions that compute on arrays are available"
    return f"'{module}.{name}' is not available", hint
