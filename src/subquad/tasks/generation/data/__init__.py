"""Class folders, CIFAR-10 and Fashion-MNIST for the training of generators."""
