"""Machine code through LLVM: what the virtual machine and the compiled tier share."""
