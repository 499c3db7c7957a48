"""BibTeX of the papers behind the methods."""

CHEN_2016 = """@article{chen2016,
  author = {Chen, Yifei and Li, Yi and Narayan, Rajiv and Subramanian, Aravind and Xie, Xiaohui},
  title = {Gene expression inference with deep learning},
  journal = {Bioinformatics}, volume = {32}, number = {12}, pages = {1832--1839}, year = {2016},
  doi = {10.1093/bioinformatics/btw074}
}"""
