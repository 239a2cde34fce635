"""What is trained before a run: distillation, VICReg, an autoencoder of faces."""
