"""The numbers that DAN's paper prints (Luo, Huang, Li, Wang, Tan 2021), table by table, row by row."""

from pnpsr.studies.table import printed

SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")
BOTH = ("PSNR", "SSIM")

# Table 1. The Set14 entry of "[28]+CARN" at ×3 is printed "2757".
TABLE1 = printed(
    """
    ×2 | Bicubic | 28.82 0.8577 26.02 0.7634 25.92 0.7310 23.14 0.7258 25.60 0.8498
    ×2 | CARN | 30.99 0.8779 28.10 0.7879 26.78 0.7286 25.27 0.7630 26.86 0.8606
    ×2 | Bicubic+ZSSR | 31.08 0.8786 28.35 0.7933 27.92 0.7632 25.25 0.7618 28.05 0.8769
    ×2 | Pan et al.+CARN | 24.20 0.7496 21.12 0.6170 22.69 0.6471 18.89 0.5895 21.54 0.7946
    ×2 | CARN+Pan et al. | 31.27 0.8974 29.03 0.8267 28.72 0.8033 25.62 0.7981 29.58 0.9134
    ×2 | IKC | 37.19 0.9526 32.94 0.9024 31.51 0.8790 29.85 0.8928 36.93 0.9667
    ×2 | DANv1 | 37.34 0.9526 33.08 0.9041 31.76 0.8858 30.60 0.9060 37.23 0.9710
    ×2 | DANv2 | 37.60 0.9544 33.44 0.9094 32.00 0.8904 31.43 0.9174 38.07 0.9734
    ×3 | Bicubic | 26.21 0.7766 24.01 0.6662 24.25 0.6356 21.39 0.6203 22.98 0.7576
    ×3 | CARN | 27.26 0.7855 25.06 0.6676 25.85 0.6566 22.67 0.6323 23.84 0.7620
    ×3 | Bicubic+ZSSR | 28.25 0.7989 26.11 0.6942 26.06 0.6633 23.26 0.6534 25.19 0.7914
    ×3 | Pan et al.+CARN | 19.05 0.5226 17.61 0.4558 20.51 0.5331 16.72 0.4578 18.38 0.6118
    ×3 | CARN+Pan et al. | 30.31 0.8562 27.57 0.7531 27.14 0.7152 24.45 0.7241 27.67 0.8592
    ×3 | IKC | 33.06 0.9146 29.38 0.8233 28.53 0.7899 24.43 0.8302 32.43 0.9316
    ×3 | DANv1 | 34.04 0.9199 30.09 0.8287 28.94 0.7919 27.65 0.8352 33.16 0.9382
    ×3 | DANv2 | 34.19 0.9209 30.20 0.8309 29.03 0.7948 27.83 0.8395 33.28 0.9400
    ×4 | Bicubic | 24.57 0.7108 22.79 0.6032 23.29 0.5786 20.35 0.5532 21.50 0.6933
    ×4 | CARN | 26.57 0.7420 24.62 0.6226 24.79 0.5963 22.17 0.5865 21.85 0.6834
    ×4 | Bicubic+ZSSR | 26.45 0.7279 24.78 0.6268 24.97 0.5989 22.11 0.5805 23.53 0.7240
    ×4 | Pan et al.+CARN | 18.10 0.4843 16.59 0.3994 18.46 0.4481 15.47 0.3872 16.78 0.5371
    ×4 | CARN+Pan et al. | 28.69 0.8092 26.40 0.6926 26.10 0.6528 23.46 0.6597 25.84 0.8035
    ×4 | IKC | 31.67 0.8829 28.31 0.7643 27.37 0.7192 25.33 0.7504 28.91 0.8782
    ×4 | DANv1 | 31.89 0.8864 28.42 0.7687 27.51 0.7248 25.86 0.7721 30.50 0.9037
    ×4 | DANv2 | 32.00 0.8885 28.50 0.7715 27.56 0.7277 25.94 0.7748 30.45 0.9037
    """,
    [f"{name} {metric}" for name in SETS for metric in BOTH],
)

# Table 2, DIV2KRK.
TABLE2 = printed(
    """
    DIV2KRK | Bicubic | 28.73 0.8040 25.33 0.6795
    DIV2KRK | Bicubic kernel+ZSSR | 29.10 0.8215 25.61 0.6911
    DIV2KRK | EDSR | 29.17 0.8216 25.64 0.6928
    DIV2KRK | RCAN | 29.20 0.8223 25.66 0.6936
    DIV2KRK | PDN, 1st in NTIRE'19 track 4 | / / 26.34 0.7190
    DIV2KRK | WDSR, 1st in NTIRE'19 track 2 | / / 21.55 0.6841
    DIV2KRK | WDSR, 1st in NTIRE'19 track 3 | / / 21.54 0.7016
    DIV2KRK | WDSR, 2nd in NTIRE'19 track 4 | / / 25.64 0.7144
    DIV2KRK | Ji et al., 1st in NTIRE'20 track 1 | / / 25.43 0.6907
    DIV2KRK | Cornillere et al. | 29.46 0.8474 / /
    DIV2KRK | Michaeli et al.+SRMD | 25.51 0.8083 23.34 0.6530
    DIV2KRK | Michaeli et al.+ZSSR | 29.37 0.8370 26.09 0.7138
    DIV2KRK | KernelGAN+SRMD | 29.57 0.8564 25.71 0.7265
    DIV2KRK | KernelGAN+USRNet | / / 20.06 0.5359
    DIV2KRK | KernelGAN+ZSSR | 30.36 0.8669 26.81 0.7316
    DIV2KRK | DANv1 | 32.56 0.8997 27.55 0.7582
    DIV2KRK | DANv2 | 32.58 0.9048 28.74 0.7893
    """,
    [f"×{scale} {metric}" for scale in (2, 4) for metric in BOTH],
)

# Table 3; its scale is not printed, its first row is that of Table 1 at ×4.
TABLE3 = printed(
    """
    ×4 | DANv2 | 32.00 28.50 27.56 25.94 30.45
    ×4 | DANv2 (GT kernel) | 31.98 28.49 27.56 25.95 30.46
    """,
    SETS,
)

# Table 4; the caption says Urban100, the text Set14, and the values are those of Urban100 at ×4 in Table 1.
TABLE4 = printed(
    """
    ×4 | A | 25.86
    ×4 | B: DPCB | 25.89
    ×4 | C: DPCB, DPCG | 25.91
    ×4 | D: DPCB, DPCG, softmax | 25.94
    """,
    ["Urban100"],
)

# Table 5.
COMPLEXITY = ("parameters, M", "multiply-adds, G", "seconds")
TABLE5 = printed(
    """
    ×4 | KernelGAN+ZSSR | 0.3 / 415.7
    ×4 | IKC | 5.29 2178.72 3.93
    ×4 | DANv1 | 4.33 926.72 0.75
    ×4 | DANv2 | 4.71 918.12 0.55
    """,
    COMPLEXITY,
)

# Section 4.1.6 on Fig. 9, as printed ("20.43dB when the iteration number is 5, higher than 20.42dB when we iterate 4 times").
ITERATIONS = range(1, 8)
FIG9 = printed("Set14 ×4 | DAN, in the text | / / / 20.42 20.43 / /", [f"T = {t}" for t in ITERATIONS])
