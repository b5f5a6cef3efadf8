"""Graph neural networks with PyTorch Geometric's convolutions; the one folder that imports it."""
