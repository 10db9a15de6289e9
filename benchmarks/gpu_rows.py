"""What `gpu_steps.py` measures: command lines of train, those first that are asked for most."""

GTA = "source=gta5 target=cityscapes"
CITIES = f"{GTA} trainer.batch_size=2"
AT_720 = f"{GTA} trainer.batch_size=1 source.size=[720,1280] target.size=[512,1024]"
WHOLE = f"{GTA} trainer.batch_size=1 source.size=[720,1280] target.size=[720,1280]"
AT_512 = f"{CITIES} source.augment.crop=[512,512] target.augment.crop=[512,512]"
PYRAMID, RED = "backbone=daformer_pvt_v2_b5", "backbone=dlv2red_resnet101"
DEEPLAB = "backbone=deeplab_resnet101"
ROWS = (
    f"method=source_only {DEEPLAB} {WHOLE}",
    f"method=adaptseg {DEEPLAB} {AT_720}",
    f"method=dacs {DEEPLAB} {AT_512}",
    f"method=daformer {PYRAMID} {AT_512}",
    "experiment=hrda_gta5_to_cityscapes",
    "experiment=mic_gta5_to_cityscapes",
    "experiment=rpt_gta5_to_cityscapes method.cluster_count=64",
    "experiment=crst_gta5_to_cityscapes",
    "experiment=fda_gta5_to_cityscapes",
    f"method=advent {DEEPLAB} {AT_720}",
    "experiment=gio_ada_synthia_to_cityscapes",
    "experiment=pit_gta5_to_cityscapes",
    "experiment=road_gta5_to_cityscapes",
    "experiment=vfm_uda_gta5_to_cityscapes trainer.batch_size=2",
    f"method=mrm method@method.base=daformer {PYRAMID} {AT_512}",
    f"method=mic method@method.base=dacs {DEEPLAB} {AT_512}",
    f"method=minent {DEEPLAB} {AT_720}",
    "experiment=crst_gta5_to_cityscapes method=cbst",
    f"method=adaptseg backbone=deeplab_vgg16 {AT_720}",
    f"method=source_only {PYRAMID} {AT_512}",
    f"method=mic method@method.base=daformer {PYRAMID} {AT_512}",
    f"method=daformer {RED} {AT_512}",
    f"method=dacs_daformer {RED} {AT_512}",
    f"method=mic method@method.base=adaptseg_single {RED} {AT_512}",
    "experiment=hrda_gta5_to_cityscapes backbone=hrda_dlv2red_resnet101",
    "experiment=road_gta5_to_cityscapes method=adaptive_bn",
    "experiment=rpt_gta5_to_cityscapes method=rpt_plain method.cluster_count=64",
    f"method=target_only {DEEPLAB} {WHOLE}",
    f"method=adaptseg_feature {DEEPLAB} {AT_720}",
)
PRESETS = tuple(
    f"experiment={name}_gta5_to_cityscapes memory={size}gb"
    for name in ("daformer", "hrda")
    for size in (8, 11, 16, 24, 80)
)
"""With --presets: what each makes of a recipe in 32 bits."""
LAST = "backbone.channels_last=true"
VARIANTS = {
    "fp32": "trainer.precision=32-true trainer.tf32=none",
    "tf32": "trainer.precision=32-true trainer.tf32=all",
    "bf16": "trainer.precision=bf16-mixed",
    "bf16-last": f"trainer.precision=bf16-mixed {LAST}",
    "bf16-fused": f"trainer.precision=bf16-mixed {LAST} trainer.fused=true",
    "bf16-compiled": f"trainer.precision=bf16-mixed {LAST} trainer.fused=true "
    "trainer.compile=[encoder]",
    "bf16-graphs": f"trainer.precision=bf16-mixed {LAST} trainer.fused=true "
    "trainer.compile=[encoder]",
}
"""Overrides of each; `bf16-graphs` also lets torch replay the encoder as a CUDA graph."""
