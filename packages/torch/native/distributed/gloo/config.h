// PyTorch's wheels come without gloo's headers, which ProcessGroupGloo.hpp includes. It names gloo's classes behind pointers alone, so that
// declarations suffice: these are all that it needs.
#pragma once
